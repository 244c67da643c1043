// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin lock-finalization`.

use anyhow::{Result, bail};
use sysroot::Sysroot;

use crate::Output;

/// Change whether the staged deployment is applied at shutdown
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: ostree admin lock-finalization --unlock\n\nA locked deployment stays staged until it is unlocked, \
    also over a reboot."
)]
pub(super) struct Args {
    /// Apply it at shutdown
    #[arg(short, long)]
    unlock: bool,
}

impl Args {
    pub(super) fn run(&self, sysroot: &Sysroot, out: &mut Output<'_>) -> Result<()> {
        let lock = super::lock(sysroot)?;
        let Some(changed) = deploy::lock_finalization(&lock, !self.unlock)? else {
            bail!("No staged deployment")
        };
        let state = match (self.unlock, changed) {
            (false, true) => "now finalization locked",
            (false, false) => "already finalization locked",
            (true, true) => "now queued to apply on shutdown",
            (true, false) => "already prepared for finalization",
        };
        writeln!(out, "Staged deployment is {state}")?;
        Ok(())
    }
}
