// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin rollback`.

use anyhow::Result;
use deploy::Request;
use sysroot::Sysroot;

use super::dry_run::DryRun;
use crate::Output;

/// Make the deployment to go back to the default
#[derive(Debug, clap::Args)]
#[command(
    after_help = "An upgrade that was not booted yet is undone: the running system is the default again. Otherwise the \
    deployment behind the running system becomes the default; a second rollback goes forward again.\n\n\
    Example: ostree admin rollback && systemctl reboot"
)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) dry_run: DryRun,
}

impl Args {
    pub(super) fn run(&self, sysroot: &Sysroot, out: &mut Output<'_>) -> Result<()> {
        self.dry_run.plan_or(sysroot, &Request::Rollback, out, |lock, out| {
            let (index, switched) = deploy::rollback(lock)?;
            writeln!(out, "Deployment {index} is now the default")?;
            super::print_switched(&switched, out)
        })
    }
}
