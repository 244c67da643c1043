// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin undeploy`.

use anyhow::Result;
use deploy::Request;
use sysroot::Sysroot;

use super::dry_run::{DryRun, Index};
use crate::Output;

/// Delete deployment INDEX
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree admin undeploy 1")]
pub(super) struct Args {
    #[command(flatten)]
    at: Index,
    #[command(flatten)]
    pub(super) dry_run: DryRun,
}

impl Args {
    pub(super) fn run(&self, sysroot: &Sysroot, out: &mut Output<'_>) -> Result<()> {
        let Index { index } = self.at;
        self.dry_run.plan_or(sysroot, &Request::Undeploy(index), out, |lock, out| {
            let gone = sysroot.load()?.deployments.get(index).map(|d| d.path.name());
            let switched = deploy::undeploy(lock, index)?;
            super::print_switched(&switched, out)?;
            Ok(writeln!(out, "Deleted deployment {}", gone.unwrap_or_default())?)
        })
    }
}
