// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin cleanup`.

use anyhow::Result;
use sysroot::{Request, Sysroot};

use super::dry_run::DryRun;
use crate::Output;

/// Delete untagged deployments and repository objects
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree admin cleanup")]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) dry_run: DryRun,
}

impl Args {
    pub(super) fn run(&self, sysroot: &Sysroot, out: &mut Output<'_>) -> Result<()> {
        if self.dry_run.is_on() {
            return self.dry_run.show(sysroot, &Request::Cleanup, out);
        }
        let lock = super::lock(sysroot)?;
        super::print_cleaned(&sysroot.cleanup(&lock)?, out)
    }
}
