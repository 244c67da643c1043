// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree-bootloader regenerate`.

use anyhow::Result;
use sysroot::Sysroot;

use crate::{Output, admin};

/// Write the boot entries, and what the boot loader reads beside them, anew
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: ostree-bootloader regenerate\n\nFor after a change of the boot loader or of [sysroot] in \
    /ostree/repo/config. It is a switch as every deployment makes it: old or new at each moment."
)]
pub(super) struct Args {}

impl Args {
    pub(super) fn run(&self, sysroot: &Sysroot, out: &mut Output<'_>) -> Result<()> {
        let lock = admin::lock(sysroot)?;
        let done = deploy::regenerate(&lock)?;
        admin::print_switched(&done, out)
    }
}
