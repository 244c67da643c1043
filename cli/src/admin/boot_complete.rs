// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin boot-complete`.

use std::path::Path;

use anyhow::Result;
use sysroot::Options;

use crate::Output;

/// Say why the update at the last shutdown failed, if it did: what ostree-boot-complete.service does
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree admin boot-complete")]
pub(super) struct Args {}

impl Args {
    pub(super) fn run(&self, path: &Path, options: &Options, out: &mut Output<'_>) -> Result<()> {
        finalize::boot_complete(path, options, out)
    }
}
