// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin state-overlay`.

use std::path::PathBuf;

use anyhow::Result;
use sysroot::Sysroot;

/// Lay an overlay over a directory whose state stays over updates: what ostree-state-overlay@.service does
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: ostree admin state-overlay opt /opt\n\nWhat was added stays; what a new commit brings itself takes \
    the place of what was changed."
)]
pub(super) struct Args {
    /// Under which name the changes are kept, in /var/ostree/state-overlays
    name: String,
    /// The directory
    #[arg(value_name = "MOUNTPATH")]
    path: PathBuf,
}

impl Args {
    pub(super) fn run(&self, sysroot: &Sysroot) -> Result<()> {
        repair::mount_state_overlay(sysroot, &self.name, &self.path)
    }
}
