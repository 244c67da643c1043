// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin cleanup`.

use anyhow::Result;
use sysroot::Sysroot;

use crate::Output;

/// Delete untagged deployments and repository objects
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree admin cleanup")]
pub(super) struct Args {}

impl Args {
    pub(super) fn run(&self, sysroot: &Sysroot, out: &mut Output<'_>) -> Result<()> {
        let lock = super::lock(sysroot)?;
        super::print_cleaned(&sysroot.cleanup(&lock)?, out)
    }
}
