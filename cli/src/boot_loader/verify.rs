// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree-bootloader verify`.

use anyhow::{Result, bail};
use sysroot::Sysroot;

use crate::Output;

/// Read what the boot loader reads, by its rules, and say where it does not boot what ostree admin status says
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: ostree-bootloader verify\n\nLooks for: titles that are there twice, files that are missing \
    or that the loader does not find, an ostree= that leads to no deployment, deployments that are not shown or in another \
    order, another default, and a tool or a file that was not brought up to date after the last change."
)]
pub(super) struct Args {}

impl Args {
    pub(super) fn run(&self, sysroot: &Sysroot, out: &mut Output<'_>) -> Result<()> {
        let report = sysroot.boot_report()?;
        for problem in &report.problems {
            writeln!(out, "{problem}")?;
        }
        match report.problems.len() {
            0 => {
                let count = report.entries.len();
                let are = if count == 1 { "entry is as it" } else { "entries are as they" };
                Ok(writeln!(out, "{}: {count} {are} should be", report.loader)?)
            }
            1 => bail!("1 problem; `ostree-bootloader regenerate` writes the boot menu anew"),
            count => bail!("{count} problems; `ostree-bootloader regenerate` writes the boot menu anew"),
        }
    }
}
