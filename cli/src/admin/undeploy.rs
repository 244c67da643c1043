// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin undeploy`.

use anyhow::Result;
use sysroot::{Request, Sysroot};

use super::dry_run::DryRun;
use crate::Output;

/// Delete deployment INDEX
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree admin undeploy 1")]
pub(super) struct Args {
    /// As `ostree admin status` lists them, from 0
    index: usize,
    #[command(flatten)]
    pub(super) dry_run: DryRun,
}

impl Args {
    pub(super) fn run(&self, sysroot: &Sysroot, out: &mut Output<'_>) -> Result<()> {
        if self.dry_run.is_on() {
            return self.dry_run.show(sysroot, &Request::Undeploy(self.index), out);
        }
        let lock = super::lock(sysroot)?;
        let gone = sysroot.load()?.deployments.get(self.index).map(|d| d.path.name());
        let switched = sysroot.undeploy(&lock, self.index)?;
        super::print_switched(&switched, out)?;
        writeln!(out, "Deleted deployment {}", gone.unwrap_or_default())?;
        Ok(())
    }
}
