// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line: each verb calls one function.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::workspace::Workspace;
use crate::{bench, build, crash, deb, fuzz_check, install, lint, peer, test, vm};

#[derive(Parser)]
#[command(name = "run", bin_name = "./run", about = "Build, test, measure and show this project")]
struct CommandLine {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Build all programs, and the static program of the initramfs
    Build,
    /// Build, then lay the programs out in DIR as a distribution packages them
    Install {
        /// The directory that stands for `/`
        #[arg(long, value_name = "DIR")]
        destdir: PathBuf,
    },
    /// Build, then make the Debian package that takes the place of `ostree` and `ostree-boot`; prints its path
    Deb {
        /// Where to put it; the default is target/deb
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Run every check and test; ends with a summary
    Test {
        /// Leave out the virtual machines
        #[arg(long, group = "extent")]
        quick: bool,
        /// Boot what is beyond the boot budget, too; writes docs/test-all.md
        #[arg(long, group = "extent")]
        all: bool,
        /// Boot what is beyond the boot budget, and nothing else; writes docs/test-all.md
        #[arg(long, group = "extent")]
        beyond: bool,
    },
    /// Build a Debian system, commit it, deploy it onto a disk and boot it
    Demo,
    /// Boot the demo's disk and give a shell in it
    Vm,
    /// Measure our `ostree` beside Debian's; writes docs/performance.md
    Bench(bench::Options),
    /// Clippy, formatting, licences, and the rules of this repository
    Lint,
    /// Make the Debian trees that hold each `ostree` we compare with
    Peer,
    /// Cut the power at every write of every operation, and see whether old or new is left
    #[command(disable_help_flag = true)]
    Crash {
        /// Of tests-crash: --quick, --minutes N, --only OP, --layout ROOT+BOOT, --seed S, --theirs, --keep
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run every fuzz target in turn, for N minutes in all; what they learn is kept
    Fuzz {
        /// Minutes for all targets together
        #[arg(long, value_name = "N", default_value_t = 60)]
        minutes: u32,
    },
    /// Run every fuzz target for a short time
    FuzzCheck {
        /// Seconds a target
        #[arg(long, value_name = "N", default_value_t = 10)]
        seconds: u32,
    },
}

/// Entry point of the `xtask` program.
#[must_use]
pub fn main() -> ExitCode {
    match dispatch(CommandLine::parse().verb) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(verb: Verb) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    match verb {
        Verb::Build => build::all(&workspace)?,
        Verb::Install { destdir } => install::into(&workspace, &destdir)?,
        Verb::Deb { out } => println!("{}", deb::run(&workspace, out.as_deref())?.display()),
        Verb::Test { quick, all, beyond } => {
            return test::run(&workspace, test::Extent::of(quick, all, beyond));
        }
        Verb::Demo => vm::demo(&workspace)?,
        Verb::Vm => vm::shell(&workspace)?,
        Verb::Bench(options) => bench::run(&workspace, &options)?,
        Verb::Lint => lint::run(&workspace)?,
        Verb::Peer => {
            for peer in peer::ensure_all(&workspace)? {
                println!("{}", peer.program.display());
            }
        }
        Verb::Crash { arguments } => return crash::run(&workspace, &arguments),
        Verb::Fuzz { minutes } => fuzz_check::run_all(&workspace, minutes)?,
        Verb::FuzzCheck { seconds } => fuzz_check::run(&workspace, seconds)?,
    }
    Ok(ExitCode::SUCCESS)
}
