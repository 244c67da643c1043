// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin init-fs`.

use std::path::PathBuf;

use anyhow::Result;
use deploy::Epoch;

use super::dry_run::DryRun;
use crate::Output;

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
    #[command(flatten)]
    dry_run: DryRun,
}

impl Args {
    pub(super) fn run(&self, out: &mut Output<'_>) -> Result<()> {
        let epoch = if self.modern { Epoch::Modern } else { self.epoch.try_into()? };
        if self.dry_run.is_on() {
            return self.dry_run.print(&deploy::plan_init_fs(&self.path, epoch)?, out);
        }
        deploy::init_fs(&self.path, epoch)
    }
}
