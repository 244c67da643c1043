// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin undeploy`.

use anyhow::Result;
use sysroot::Sysroot;

use crate::Output;

/// Delete deployment INDEX
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree admin undeploy 1")]
pub(super) struct Args {
    /// As `ostree admin status` lists them, from 0
    index: usize,
}

impl Args {
    pub(super) fn run(&self, sysroot: &Sysroot, out: &mut Output<'_>) -> Result<()> {
        let lock = super::lock(sysroot)?;
        let gone = sysroot.load()?.deployments.get(self.index).map(|d| d.path.name());
        let switched = sysroot.undeploy(&lock, self.index)?;
        super::print_switched(&switched, out)?;
        writeln!(out, "Deleted deployment {}", gone.unwrap_or_default())?;
        Ok(())
    }
}
