// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin`: deployments of a physical root.

mod deploy;
mod init_fs;
mod stateroot_init;
mod status;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Subcommand;
use sysroot::{Lock, Sysroot};

use crate::Output;

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
    Deploy(deploy::Args),
    InitFs(init_fs::Args),
    StaterootInit(stateroot_init::Args),
    /// The former name of stateroot-init
    OsInit(stateroot_init::Args),
    Status(status::Args),
}

impl Args {
    pub(crate) fn run(&self, out: &mut Output<'_>) -> Result<()> {
        let path = self.sysroot.as_deref().unwrap_or(Path::new("/"));
        match &self.command {
            Command::Deploy(args) => args.run(&Sysroot::open(path)?, out),
            Command::InitFs(args) => args.run(),
            Command::StaterootInit(args) | Command::OsInit(args) => args.run(&Sysroot::open(path)?, out),
            Command::Status(args) => args.run(&Sysroot::open(path)?, out),
        }
    }
}

/// Takes the sysroot's lock, and says so if somebody else has it.
fn lock(sysroot: &Sysroot) -> Result<Lock> {
    sysroot.lock(|| {
        eprintln!("Waiting for {}/ostree/lock, which another process holds", sysroot.path().display())
    })
}
