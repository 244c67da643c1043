// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin set-default`.

use anyhow::Result;
use sysroot::{Request, Sysroot};

use super::dry_run::DryRun;
use crate::Output;

/// Make deployment INDEX the default
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree admin set-default 1")]
pub(super) struct Args {
    /// As `ostree admin status` lists them, from 0
    index: usize,
    #[command(flatten)]
    pub(super) dry_run: DryRun,
}

impl Args {
    pub(super) fn run(&self, sysroot: &Sysroot, out: &mut Output<'_>) -> Result<()> {
        if self.dry_run.is_on() {
            return self.dry_run.show(sysroot, &Request::SetDefault(self.index), out);
        }
        let lock = super::lock(sysroot)?;
        super::print_switched(&sysroot.set_default(&lock, self.index)?, out)
    }
}
