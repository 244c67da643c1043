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
mod session;
mod set_default;
mod set_origin;
mod state_overlay;
mod stateroot_init;
mod status;
mod switch;
mod tree_options;
mod undeploy;
mod unlock;
mod upgrade;
mod upgrade_options;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Subcommand;
use sysroot::Sysroot;

use self::dry_run::DryRun;
pub(crate) use self::session::{lock, print_cleaned, print_switched, say_waiting};
use crate::{Output, environment};

/// Commands for managing a host system booted with ostree
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree admin deploy --os=debian --karg=root=LABEL=root debian/trixie")]
pub(crate) struct Args {
    /// The physical root; the default is $OSTREE_SYSROOT, else /
    #[arg(long, value_name = "PATH", global = true, env = "OSTREE_SYSROOT", hide_env = true)]
    sysroot: Option<PathBuf>,
    /// Print the directory of the first deployment
    #[arg(long, global = true, hide = true)]
    print_current_dir: bool,
    #[command(subcommand)]
    command: Option<Command>,
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
        let options = environment::sysroot_options();
        let open = || Ok::<_, anyhow::Error>(Sysroot::open(path)?.with_options(&options));
        let change = || Ok::<_, anyhow::Error>(Sysroot::open_for_change(path)?.with_options(&options));
        let planned = |dry_run: &DryRun| if dry_run.is_on() { open() } else { change() };
        let Some(command) = self.command.as_ref().filter(|_| !self.print_current_dir) else {
            return print_current_dir(&open()?, path, out);
        };
        match command {
            Command::BootComplete(args) => args.run(path, &options, out),
            Command::Cleanup(args) => args.run(&planned(&args.dry_run)?, out),
            Command::ConfigDiff(args) => args.run(&open()?, out),
            Command::Deploy(args) => args.run(&planned(&args.dry_run)?, out),
            Command::EtcMerge(args) if args.only_reads() => args.run(&open()?, out),
            Command::EtcMerge(args) => args.run(&change()?, out),
            Command::FinalizeStaged(args) => args.run(path, &options, out),
            Command::FsckBoot(args) if args.only_reads() => args.run(open()?, out),
            Command::FsckBoot(args) => args.run(change()?, out),
            Command::InitFs(args) => args.run(out),
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
            Command::StaterootInit(args) | Command::OsInit(args) => args.run(&planned(&args.dry_run)?, out),
            Command::StateOverlay(args) => args.run(&open()?),
            Command::Status(args) => args.run(&open()?, out),
            Command::Switch(args) => args.run(&planned(&args.shared.dry_run)?, out),
            Command::Undeploy(args) => args.run(&planned(&args.dry_run)?, out),
            Command::Unlock(args) => args.run(path, &options, out),
            Command::Upgrade(args) => args.run(&planned(&args.shared.dry_run)?, out),
        }
    }
}

/// Prints the path of the first deployment's directory: below the physical root as it was named, as the C tools do.
fn print_current_dir(sysroot: &Sysroot, root: &Path, out: &mut Output<'_>) -> Result<()> {
    let loaded = sysroot.load()?;
    let first = loaded.deployments.first().context("Unable to find a deployment in sysroot")?;
    let path = root.join(first.path.to_string());
    let path = std::path::absolute(&path).with_context(|| format!("Looking for {}", path.display()))?;
    Ok(writeln!(out, "{}", path.display())?)
}
