// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin instutil`: what installers call.

use std::env;

use anyhow::{Context, Result, bail, ensure};
use bootloader::loader::grub2::Generator;
use clap::Subcommand;
use sysroot::Sysroot;

use super::kargs;
use crate::Output;

/// Provide instutil commands, for installers
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Grub2Generate(Grub2Generate),
    SelinuxEnsureLabeled(SelinuxEnsureLabeled),
    SetKargs(kargs::SetKargs),
}

/// Label what has no SELinux label yet, by the policy of the first deployment
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: ostree admin instutil selinux-ensure-labeled --sysroot=/mnt/sysroot /mnt/sysroot/ostree/deploy/os/var /var"
)]
struct SelinuxEnsureLabeled {
    /// A directory to label, in place of the files that the first deployment has for itself
    #[arg(requires = "prefix")]
    subpath: Option<String>,
    /// Where that directory is in the running system
    prefix: Option<String>,
}

/// Print menu entries for grub-mkconfig; called by /etc/grub.d/15_ostree
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: GRUB2_BOOT_DEVICE_ID=x ostree admin instutil grub2-generate")]
pub(super) struct Grub2Generate {
    /// Which of the two sets of entries, 0 or 1; by default that of $_OSTREE_GRUB2_BOOTVERSION, else the chosen one
    #[arg(value_name = "BOOTVERSION")]
    boot_version: Option<String>,
}

impl Args {
    /// Whether it changes nothing.
    pub(super) fn only_reads(&self) -> bool {
        matches!(self.command, Command::Grub2Generate(_))
    }

    pub(super) fn run(&self, sysroot: &Sysroot, out: &mut Output<'_>) -> Result<()> {
        match &self.command {
            Command::Grub2Generate(args) => args.run(sysroot, out),
            Command::SelinuxEnsureLabeled(args) => args.run(sysroot, out),
            Command::SetKargs(args) => args.run(sysroot, out),
        }
    }
}

impl SelinuxEnsureLabeled {
    fn run(&self, sysroot: &Sysroot, out: &mut Output<'_>) -> Result<()> {
        let part = self.subpath.as_deref().zip(self.prefix.as_deref());
        ensure!(
            part.is_none_or(|(_, prefix)| prefix.starts_with('/')),
            "PREFIX is a path from the root of the running system, as /var is"
        );
        let lock = super::lock(sysroot)?;
        let done = deploy::ensure_labelled(&lock, part)?;
        match done.policy {
            Some(policy) => writeln!(out, "Relabeling using policy '{policy}': {} labels set", done.count)?,
            None => writeln!(out, "No SELinux policy found in deployment '{}'", done.deployment)?,
        }
        Ok(())
    }
}

impl Grub2Generate {
    fn run(&self, sysroot: &Sysroot, out: &mut Output<'_>) -> Result<()> {
        let version = self.boot_version.clone().or_else(|| env::var("_OSTREE_GRUB2_BOOTVERSION").ok());
        let version = match version.as_deref() {
            None => None,
            Some("0") => Some(0),
            Some("1") => Some(1),
            Some(other) => bail!("There is no set of boot entries {other:?}, only 0 and 1"),
        };
        let device_id = env::var("GRUB2_BOOT_DEVICE_ID")
            .context("Reading GRUB2_BOOT_DEVICE_ID: run grub-mkconfig, whose script 15_ostree sets it")?;
        let with = Generator { device_id, prepare_root: env::var("GRUB2_PREPARE_ROOT_CACHE").ok() };
        Ok(write!(out, "{}", sysroot.grub_entries(version, &with)?)?)
    }
}
