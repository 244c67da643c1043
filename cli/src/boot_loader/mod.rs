// SPDX-License-Identifier: MIT OR Apache-2.0
//! The `ostree-bootloader` command: a system as its boot loader sees it.
//!
//! It reads with the rules of the loader that is installed, from the file where that begins, and not what was meant to be written.

mod entries;
mod regenerate;
mod status;
mod verify;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{ArgAction, Parser, Subcommand};
use log::LevelFilter;
use sysroot::Sysroot;

use crate::{Output, environment, failure, global, version};

/// See a system as its boot loader does: what it shows, what it boots, what is wrong with that.
#[derive(Debug, Parser)]
#[command(
    name = "ostree-bootloader",
    disable_version_flag = true,
    disable_help_subcommand = true,
    max_term_width = 100
)]
#[command(
    after_help = "Exit status: 0 after success, 1 after an error, told as 'error: …' on stderr, and if verify finds \
    something.\n\nExample: ostree-bootloader verify"
)]
pub(crate) struct Arguments {
    /// The physical root; the default is $OSTREE_SYSROOT, else /
    #[arg(long, value_name = "PATH", global = true, env = "OSTREE_SYSROOT", hide_env = true)]
    sysroot: Option<PathBuf>,
    /// Print version information and exit
    #[arg(long, global = true, action = ArgAction::SetTrue)]
    version: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Entries(entries::Args),
    Regenerate(regenerate::Args),
    Status(status::Args),
    Verify(verify::Args),
}

impl Arguments {
    fn run(&self, out: &mut Output<'_>) -> Result<()> {
        if self.version {
            return version::print(out);
        }
        let path = self.sysroot.as_deref().unwrap_or(Path::new("/"));
        let options = environment::sysroot_options();
        let open = || Ok::<_, anyhow::Error>(Sysroot::open(path)?.with_options(&options));
        match self.command.as_ref().context("No command specified; see ostree-bootloader --help")? {
            Command::Entries(args) => args.run(&open()?, out),
            Command::Regenerate(args) => {
                args.run(&Sysroot::open_for_change(path)?.with_options(&options), out)
            }
            Command::Status(args) => args.run(&open()?, out),
            Command::Verify(args) => args.run(&open()?, out),
        }
    }
}

/// Runs the command that `args` ask for, the first of which is the program's name.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let words: Vec<OsString> = args.into_iter().collect();
    let arguments = match Arguments::try_parse_from(&words) {
        Ok(arguments) => arguments,
        Err(error) => return failure::of_arguments(&error, &words),
    };
    global::start_log(LevelFilter::Warn);
    let mut out = std::io::stdout().lock();
    let done = arguments.run(&mut out);
    failure::exit_code(done.and(out.flush().context("Writing to standard output")))
}
