// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin set-default`.

use anyhow::Result;
use deploy::Request;
use sysroot::Sysroot;

use super::dry_run::{DryRun, Index};
use crate::Output;

/// Make deployment INDEX the default
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree admin set-default 1")]
pub(super) struct Args {
    #[command(flatten)]
    at: Index,
    #[command(flatten)]
    pub(super) dry_run: DryRun,
}

impl Args {
    pub(super) fn run(&self, sysroot: &Sysroot, out: &mut Output<'_>) -> Result<()> {
        let Index { index } = self.at;
        self.dry_run.plan_or(sysroot, &Request::SetDefault(index), out, |lock, out| {
            super::print_switched(&deploy::set_default(lock, index)?, out)
        })
    }
}
