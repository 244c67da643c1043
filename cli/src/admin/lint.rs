// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin lint`.

use std::path::PathBuf;

use anyhow::Result;
use repair::{Severity, lint, record_initramfs};

use crate::Output;
use crate::failure::Found;

/// Look at a tree before it is committed: whether it can be deployed and booted
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: ostree admin lint --record tree && ostree --repo=repo commit --branch=os/x86_64 tree\n\n\
    Exit status: 0 if nothing worse than a warning was found, 2 if there is an error in the tree, 1 if it could not be read."
)]
pub(super) struct Args {
    /// Write down beside the kernel what is in the initramfs, so that deployments need not unpack it
    #[arg(long)]
    record: bool,
    /// For programs: one JSON object, with a number for its schema
    #[arg(short = 'J', long)]
    json: bool,
    /// The directory with the tree
    tree: PathBuf,
}

impl Args {
    pub(super) fn run(&self, out: &mut Output<'_>) -> Result<()> {
        if self.record {
            let path = record_initramfs(&self.tree)?;
            if !self.json {
                writeln!(out, "Wrote /{path}")?;
            }
        }
        let findings = lint(&self.tree)?;
        if self.json {
            let all = serde_json::json!({ "schema": 1, "findings": findings });
            writeln!(out, "{}", serde_json::to_string_pretty(&all)?)?;
        } else {
            for finding in &findings {
                let severity = if finding.severity == Severity::Error { "error" } else { "warning" };
                writeln!(out, "{severity}: {} {}; {}", finding.path, finding.text, finding.fix)?;
            }
        }
        match findings.iter().any(|finding| finding.severity == Severity::Error) {
            true => Err(Found.into()),
            false => Ok(()),
        }
    }
}
