// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin stateroot-init` and its former name, `os-init`.

use anyhow::Result;
use sysroot::Sysroot;

use super::dry_run::DryRun;
use crate::Output;

/// Initialize empty state for given operating system
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree admin stateroot-init debian")]
pub(super) struct Args {
    /// One word, without slashes and quotes
    stateroot: String,
    #[command(flatten)]
    pub(super) dry_run: DryRun,
}

impl Args {
    pub(super) fn run(&self, sysroot: &Sysroot, out: &mut Output<'_>) -> Result<()> {
        if self.dry_run.is_on() {
            return self.dry_run.print(&deploy::plan_stateroot(sysroot, &self.stateroot)?, out);
        }
        let lock = super::lock(sysroot)?;
        deploy::init_stateroot(&lock, &self.stateroot)?;
        writeln!(out, "ostree/deploy/{} initialized as OSTree stateroot", self.stateroot)?;
        Ok(())
    }
}
