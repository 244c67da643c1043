// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin instutil`: what installers call.

use anyhow::Result;
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
    SetKargs(kargs::SetKargs),
}

impl Args {
    pub(super) fn run(&self, sysroot: &Sysroot, out: &mut Output<'_>) -> Result<()> {
        match &self.command {
            Command::SetKargs(args) => args.run(sysroot, out),
        }
    }
}
