// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin unlock`.

use std::path::Path;

use anyhow::Result;
use repair::Unlock;
use sysroot::Options;

use crate::Output;

/// Make /usr of the running system writable
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: ostree admin unlock\n\nWithout an option changes are lost at the next boot. With --hotfix they stay, \
    and a copy of the deployment without them can be gone back to (`ostree admin rollback`)."
)]
pub(super) struct Args {
    /// Keep the changes over boots
    #[arg(long, conflicts_with = "transient")]
    hotfix: bool,
    /// Mount the overlay read-only; a process can remount it writable in a mount namespace of its own
    #[arg(long)]
    transient: bool,
}

impl Args {
    pub(super) fn run(&self, path: &Path, options: &Options, out: &mut Output<'_>) -> Result<()> {
        let (how, said) = match (self.hotfix, self.transient) {
            (true, _) => (
                Unlock::Hotfix,
                "/usr can be written to, also after the next boot. A copy of this deployment without the changes is \
                 behind it in the boot menu.",
            ),
            (_, true) => (
                Unlock::Transient,
                "An overlay is mounted over /usr, read-only: who wants to write to it runs `unshare -m`, then `mount -o \
                 remount,rw /usr`. Changes are lost at the next boot.",
            ),
            _ => (Unlock::Development, "/usr can be written to. Changes are lost at the next boot."),
        };
        repair::unlock(path, options, how, || super::say_waiting(path))?;
        Ok(writeln!(out, "{said}")?)
    }
}
