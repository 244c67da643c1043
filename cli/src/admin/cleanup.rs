// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin cleanup`.

use anyhow::Result;
use deploy::Request;
use sysroot::Sysroot;

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
        self.dry_run.plan_or(sysroot, &Request::Cleanup, out, |lock, out| {
            super::print_cleaned(&deploy::cleanup(lock)?, out)
        })
    }
}
