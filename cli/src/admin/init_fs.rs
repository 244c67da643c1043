// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin init-fs`.

use std::path::PathBuf;

use anyhow::Result;
use sysroot::Epoch;

/// Initialize a root filesystem
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree admin init-fs --modern /mnt")]
pub(super) struct Args {
    /// An existing directory
    path: PathBuf,
    /// Only create /boot and /ostree (the same as --epoch=1)
    #[arg(long)]
    modern: bool,
    /// How much is made: 0 a traditional root, 1 only /boot and /ostree, 2 as 1 with an /ostree for root alone
    #[arg(short = 'E', long, value_name = "N", default_value_t = 0)]
    epoch: u8,
}

impl Args {
    pub(super) fn run(&self) -> Result<()> {
        let epoch = if self.modern { Epoch::Modern } else { self.epoch.try_into()? };
        sysroot::init_fs(&self.path, epoch)
    }
}
