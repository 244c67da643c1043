// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree checksum`.

use std::path::PathBuf;

use anyhow::Result;

use crate::Output;

/// Checksum a file or directory
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree checksum /usr/bin/ls")]
pub(crate) struct Args {
    /// File, symbolic link or directory
    path: PathBuf,
    /// Don't include xattrs in checksum
    #[arg(long)]
    ignore_xattrs: bool,
}

impl Args {
    pub(crate) fn run(&self, out: &mut Output<'_>) -> Result<()> {
        writeln!(out, "{}", repo::commit::checksum_path(&self.path, self.ignore_xattrs)?)?;
        Ok(())
    }
}
