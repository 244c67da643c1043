// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin status`.

use std::io::{IsTerminal, stdout};

use anyhow::{Result, bail};
use sysroot::Sysroot;

use crate::Output;

/// List deployments, and say what the next boot starts
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: ostree admin status --json\n\nThe running system has a *. Into a pipe or a file go \
    only the lines that scripts know from other versions of ostree; --long shows all of it there too."
)]
pub(super) struct Args {
    /// All that a person wants to know, as on a terminal
    #[arg(short = 'l', long, conflicts_with_all = ["json", "is_default"])]
    long: bool,
    /// For programs: one JSON object, with a number for its schema
    #[arg(short = 'J', long)]
    json: bool,
    /// Print `default` if the running system is first in the list, else `not-default`
    #[arg(short = 'D', long, conflicts_with = "json")]
    is_default: bool,
    /// Accepted for compatibility: signatures are not shown
    #[arg(short = 'S', long)]
    skip_signatures: bool,
}

impl Args {
    pub(super) fn run(&self, sysroot: &Sysroot, out: &mut Output<'_>) -> Result<()> {
        let status = sysroot.status()?;
        if self.is_default {
            if status.deployments.is_empty() {
                bail!("Not in a booted OSTree system");
            }
            writeln!(out, "{}", if status.booted_is_default() { "default" } else { "not-default" })?;
        } else if self.json {
            writeln!(out, "{}", serde_json::to_string_pretty(&status)?)?;
        } else if self.long || stdout().is_terminal() {
            write!(out, "{}", status.long())?;
        } else {
            write!(out, "{}", status)?;
            // Not among the lines that scripts know.
            status.notes.iter().for_each(|note| eprintln!("warning: {}", note.text));
        }
        Ok(())
    }
}
