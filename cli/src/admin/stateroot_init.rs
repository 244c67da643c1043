// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin stateroot-init` and its former name, `os-init`.

use anyhow::Result;
use sysroot::Sysroot;

use crate::Output;

/// Initialize empty state for given operating system
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree admin stateroot-init debian")]
pub(super) struct Args {
    /// One word, without slashes and quotes
    stateroot: String,
}

impl Args {
    pub(super) fn run(&self, sysroot: &Sysroot, out: &mut Output<'_>) -> Result<()> {
        let _lock = super::lock(sysroot)?;
        sysroot.init_stateroot(&self.stateroot)?;
        writeln!(out, "ostree/deploy/{} initialized as OSTree stateroot", self.stateroot)?;
        Ok(())
    }
}
