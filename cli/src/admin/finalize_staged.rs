// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin finalize-staged`.

use std::path::Path;

use anyhow::Result;

use crate::Output;

/// Switch to the staged deployment: what ostree-finalize-staged.service does at shutdown
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree admin finalize-staged")]
pub(super) struct Args {
    /// Keep /boot in use until the process is ended
    #[arg(long)]
    hold: bool,
}

impl Args {
    pub(super) fn run(&self, path: &Path, out: &mut Output<'_>) -> Result<()> {
        if self.hold {
            return finalize::hold(path).map(|never| match never {});
        }
        finalize::finalize_staged(path, out)
    }
}
