// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin`: deployments of a physical root.

mod boot_complete;
mod cleanup;
mod config_diff;
mod deploy;
mod dry_run;
mod etc_merge;
mod finalize_staged;
mod fsck_boot;
mod init_fs;
mod instutil;
mod kargs;
mod lint;
mod lock_finalization;
mod pin;
mod post_copy;
mod reboot;
mod rollback;
mod set_default;
mod set_origin;
mod state_overlay;
mod stateroot_init;
mod status;
mod switch;
mod undeploy;
mod unlock;
mod upgrade;
mod upgrade_options;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Subcommand;
use sysroot::{Cleaned, Lock, Switched, Sysroot};

use self::dry_run::DryRun;
use crate::{Output, size};

/// Commands for managing a host system booted with ostree
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree admin deploy --os=debian --karg=root=LABEL=root debian/trixie")]
pub(crate) struct Args {
    /// The physical root; the default is $OSTREE_SYSROOT, else /
    #[arg(long, value_name = "PATH", global = true, env = "OSTREE_SYSROOT", hide_env = true)]
    sysroot: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(hide = true)]
    BootComplete(boot_complete::Args),
    Cleanup(cleanup::Args),
    ConfigDiff(config_diff::Args),
    Deploy(deploy::Args),
    EtcMerge(etc_merge::Args),
    #[command(hide = true)]
    FinalizeStaged(finalize_staged::Args),
    FsckBoot(fsck_boot::Args),
    InitFs(init_fs::Args),
    #[command(hide = true)]
    Instutil(instutil::Args),
    Kargs(kargs::Args),
    Lint(lint::Args),
    LockFinalization(lock_finalization::Args),
    Pin(pin::Args),
    PostCopy(post_copy::Args),
    Rollback(rollback::Args),
    SetDefault(set_default::Args),
    SetOrigin(set_origin::Args),
    StaterootInit(stateroot_init::Args),
    /// The former name of stateroot-init
    OsInit(stateroot_init::Args),
    #[command(hide = true)]
    StateOverlay(state_overlay::Args),
    Status(status::Args),
    Switch(switch::Args),
    Undeploy(undeploy::Args),
    Unlock(unlock::Args),
    Upgrade(upgrade::Args),
}

impl Args {
    pub(crate) fn run(&self, out: &mut Output<'_>) -> Result<()> {
        let path = self.sysroot.as_deref().unwrap_or(Path::new("/"));
        let open = || Sysroot::open(path);
        let change = || Sysroot::open_for_change(path);
        let planned = |dry_run: &DryRun| if dry_run.is_on() { open() } else { change() };
        match &self.command {
            Command::BootComplete(args) => args.run(path, out),
            Command::Cleanup(args) => args.run(&planned(&args.dry_run)?, out),
            Command::ConfigDiff(args) => args.run(&open()?, out),
            Command::Deploy(args) => args.run(&planned(&args.dry_run)?, out),
            Command::EtcMerge(args) if args.only_reads() => args.run(&open()?, out),
            Command::EtcMerge(args) => args.run(&change()?, out),
            Command::FinalizeStaged(args) => args.run(path, out),
            Command::FsckBoot(args) if args.only_reads() => args.run(open()?, out),
            Command::FsckBoot(args) => args.run(change()?, out),
            Command::InitFs(args) => args.run(),
            Command::Instutil(args) if args.only_reads() => args.run(&open()?, out),
            Command::Instutil(args) => args.run(&change()?, out),
            Command::Kargs(args) if args.only_reads() => args.run(&open()?, out),
            Command::Kargs(args) => args.run(&change()?, out),
            Command::Lint(args) => args.run(out),
            Command::LockFinalization(args) => args.run(&change()?, out),
            Command::Pin(args) => args.run(&planned(&args.dry_run)?, out),
            Command::PostCopy(args) => args.run(&change()?, out),
            Command::Rollback(args) => args.run(&planned(&args.dry_run)?, out),
            Command::SetDefault(args) => args.run(&planned(&args.dry_run)?, out),
            Command::SetOrigin(args) => args.run(&change()?),
            Command::StaterootInit(args) | Command::OsInit(args) => args.run(&change()?, out),
            Command::StateOverlay(args) => args.run(&open()?),
            Command::Status(args) => args.run(&open()?, out),
            Command::Switch(args) => args.run(&planned(&args.shared.dry_run)?, out),
            Command::Undeploy(args) => args.run(&planned(&args.dry_run)?, out),
            Command::Unlock(args) => args.run(path, out),
            Command::Upgrade(args) => args.run(&planned(&args.shared.dry_run)?, out),
        }
    }
}

/// Takes the sysroot's lock, and says so if somebody else has it.
pub(crate) fn lock(sysroot: &Sysroot) -> Result<Lock> {
    sysroot.lock(|| say_waiting(sysroot.path()))
}

fn say_waiting(path: &Path) {
    eprintln!("Waiting for {}/ostree/lock, which another process holds", path.display());
}

/// Says what a new boot menu has changed.
pub(crate) fn print_switched(done: &Switched, out: &mut Output<'_>) -> Result<()> {
    for warning in &done.plan.warnings {
        eprintln!("warning: {warning}");
    }
    writeln!(out, "{}", done.summary())?;
    if let Some(path) = &done.unstaged {
        writeln!(out, "No longer staged: {path}")?;
    }
    if let Some(reason) = &done.outcome.unfinished {
        eprintln!(
            "warning: the boot loader still boots from the former entries: {reason}; `ostree admin cleanup` tries again"
        );
    }
    if let durable::Proof::Unproven(reason) = &done.outcome.proof {
        eprintln!("note: a boot loader may see the old entries until the next reboot: {reason}");
    }
    print_cleaned(&done.cleaned, out)
}

/// Says what was removed, and what could not be.
fn print_cleaned(cleaned: &Cleaned, out: &mut Output<'_>) -> Result<()> {
    for left in &cleaned.left {
        eprintln!("warning: could not remove {left}");
    }
    match &cleaned.pruned {
        Some(pruned) if pruned.freed > 0 => {
            Ok(writeln!(out, "Freed objects: {}", size::format(pruned.freed))?)
        }
        _ => Ok(()),
    }
}
