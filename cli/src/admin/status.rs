// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin status`.

use anyhow::Result;
use sysroot::{Status, Sysroot};

use crate::Output;

/// List deployments
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: ostree admin status --json\n\nThe running system has a *; the first one is booted next."
)]
pub(super) struct Args {
    /// For programs: one JSON object, with a number for its schema
    #[arg(short = 'J', long)]
    json: bool,
    /// Print `default` if the running system is booted next, else `not-default`
    #[arg(short = 'D', long, conflicts_with = "json")]
    is_default: bool,
    /// Accepted for compatibility: signatures are not shown
    #[arg(short = 'S', long)]
    skip_signatures: bool,
}

impl Args {
    pub(super) fn run(&self, sysroot: &Sysroot, out: &mut Output<'_>) -> Result<()> {
        let loaded = sysroot.load()?;
        let status = Status::new(&loaded, |d| sysroot.version_of(&d.path));
        if self.is_default {
            writeln!(out, "{}", if status.booted_is_default() { "default" } else { "not-default" })?;
        } else if self.json {
            writeln!(out, "{}", serde_json::to_string_pretty(&status)?)?;
        } else {
            write!(out, "{status}")?;
            // Not among the lines that scripts know.
            status.notes.iter().for_each(|note| eprintln!("warning: {note}"));
        }
        Ok(())
    }
}
