// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin config-diff`.

use anyhow::Result;
use sysroot::{Sysroot, What};

use crate::Output;

/// Diff current /etc configuration versus default
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree admin config-diff\n\nM is modified, D deleted, A added.")]
pub(super) struct Args {
    /// Use a different operating system root than the current one
    #[arg(long, value_name = "STATEROOT", visible_alias = "os")]
    stateroot: Option<String>,
}

impl Args {
    pub(super) fn run(&self, sysroot: &Sysroot, out: &mut Output<'_>) -> Result<()> {
        let changes = sysroot.etc_changes(self.stateroot.as_deref())?;
        // Scripts know them grouped.
        for what in [What::Modified, What::Removed, What::Added] {
            for change in changes.list.iter().filter(|change| change.what == what) {
                writeln!(out, "{}    {}", what.letter(), change.path.display())?;
            }
        }
        Ok(())
    }
}
