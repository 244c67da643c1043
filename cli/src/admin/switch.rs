// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin switch`.

use anyhow::{Context as _, Result, bail};
use sysroot::Sysroot;
use upgrade::Options;

use super::deploy::SelinuxArg;
use crate::Output;

/// Construct new tree from REFSPEC and deploy it
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree admin switch exampleos/x86_64/testing\n\n\
    REMOTE: alone means the same branch of another remote.")]
pub(super) struct Args {
    /// What to follow from now on: [REMOTE:]BRANCH or REMOTE:
    refspec: Option<String>,
    /// Reboot after switching trees
    #[arg(short, long)]
    reboot: bool,
    /// Use a different operating system root than the current one
    #[arg(long, value_name = "OSNAME")]
    os: Option<String>,
    /// What to do with a tree that enforces an SELinux policy, which needs labels that are not set yet
    #[arg(long, value_name = "HOW", default_value = "refuse")]
    selinux: SelinuxArg,
    #[arg(short, long, hide = true)]
    kexec: bool,
}

impl Args {
    pub(super) fn run(&self, sysroot: &Sysroot, out: &mut Output<'_>) -> Result<()> {
        if self.kexec {
            bail!("--kexec is not supported yet; use --reboot");
        }
        let options = Options {
            stateroot: self.os.clone(),
            switch_to: Some(self.refspec.clone().context("REFSPEC must be specified")?),
            selinux: self.selinux.into(),
            ..Options::default()
        };
        let lock = super::lock(sysroot)?;
        super::upgrade::print(&upgrade::upgrade(sysroot, &lock, &options)?, out)?;
        if self.reboot { super::reboot::reboot(sysroot) } else { Ok(()) }
    }
}
