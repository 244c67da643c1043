// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin post-copy`.

use anyhow::Result;
use sysroot::Sysroot;

use crate::Output;

/// Enable fs-verity again after a root was copied file by file
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: cp -a /sysroot/. /mnt && ostree admin --sysroot=/mnt post-copy\n\nDoes something only where the \
    repository asks for fs-verity: [ex-integrity] fsverity=maybe, or composefs."
)]
pub(super) struct Args {}

impl Args {
    pub(super) fn run(&self, sysroot: &Sysroot, out: &mut Output<'_>) -> Result<()> {
        let lock = super::lock(sysroot)?;
        let done = repair::post_copy(&lock)?;
        if !done.wanted {
            writeln!(out, "The repository does not ask for fs-verity: nothing to do")?;
            return Ok(());
        }
        writeln!(out, "fs-verity enabled on {} files; {} had it", done.enabled, done.were_enabled)?;
        if done.unsupported > 0 {
            eprintln!(
                "warning: the file system has no fs-verity, which {} files go without",
                done.unsupported
            );
        }
        Ok(())
    }
}
