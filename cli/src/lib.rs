// SPDX-License-Identifier: MIT OR Apache-2.0
//! The `ostree` command: one module a subcommand, each of which parses, calls one library function and prints.
//!
//! Exit codes: 0 after success, 1 after any error, which is told as one line `error: …` on stderr. A reader
//! that goes away early (`ostree ls … | head`) is no error.
#![forbid(unsafe_code)]

mod admin;
pub mod boot_loader;
mod cat;
mod checkout;
mod checksum;
mod commit;
mod config;
mod describe;
mod diff;
#[cfg(feature = "documents")]
pub mod documents;
mod dry_run;
mod environment;
mod external;
mod failure;
mod fsck;
mod global;
mod grammar;
mod init;
mod log;
mod ls;
mod output;
mod owner;
mod prune;
mod pull;
mod pull_local;
mod pull_options;
mod refs;
mod remote;
mod reset;
mod rev_parse;
mod show;
mod size;
mod summary;
mod time;
mod version;

use std::ffi::OsString;
use std::io::{BufWriter, Write};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{ArgAction, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use global::Global;
use grammar::{Reading, refused};
pub(crate) use output::Output;

/// Manage trees of files as commits: store, check out, deploy.
#[derive(Debug, Parser)]
#[command(name = "ostree", disable_version_flag = true, disable_help_subcommand = true, max_term_width = 100)]
#[command(after_help = "Exit status: 0 after success, 1 after an error, told as 'error: …' on stderr.\n\n\
    Example: ostree --repo=repo commit --branch=exampleos/x86_64 tree/")]
struct Arguments {
    #[command(flatten)]
    global: Global,
    /// Print version information and exit
    #[arg(long, global = true, action = ArgAction::SetTrue)]
    version: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Admin(admin::Args),
    Cat(cat::Args),
    Checkout(checkout::Args),
    Checksum(checksum::Args),
    Commit(Box<commit::Args>),
    Config(config::Args),
    Diff(diff::Args),
    Fsck(fsck::Args),
    Init(init::Args),
    Log(log::Args),
    Ls(ls::Args),
    Prune(prune::Args),
    Pull(Box<pull::Args>),
    PullLocal(pull_local::Args),
    Refs(refs::Args),
    Remote(remote::Args),
    Reset(reset::Args),
    RevParse(rev_parse::Args),
    Show(show::Args),
    Summary(summary::Args),
}

impl Command {
    fn run(&self, global: &Global, out: &mut Output<'_>) -> Result<()> {
        match self {
            Self::Admin(args) => args.run(out),
            Self::Cat(args) => args.run(global, out),
            Self::Checkout(args) => args.run(global, out),
            Self::Checksum(args) => args.run(out),
            Self::Commit(args) => args.run(global, out),
            Self::Config(args) => args.run(global, out),
            Self::Diff(args) => args.run(global, out),
            Self::Fsck(args) => args.run(global, out),
            Self::Init(args) => args.run(global),
            Self::Log(args) => args.run(global, out),
            Self::Ls(args) => args.run(global, out),
            Self::Prune(args) => args.run(global, out),
            Self::Pull(args) => args.run(global, out),
            Self::PullLocal(args) => args.run(global, out),
            Self::Refs(args) => args.run(global, out),
            Self::Remote(args) => args.run(global, out),
            Self::Reset(args) => args.run(global, out),
            Self::RevParse(args) => args.run(global, out),
            Self::Show(args) => args.run(global, out),
            Self::Summary(args) => args.run(global, out),
        }
    }
}

/// Runs the command that `args` ask for, the first of which is the program's name.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let line: Vec<OsString> = args.into_iter().collect();
    let definition = refused::add(Arguments::command());
    match grammar::read(&definition, &line, &external::exists) {
        Ok(Reading::Words(words)) => run_command(definition, words),
        Ok(Reading::Help { path, long, all }) => show_help(definition, &path, long, all),
        Ok(Reading::Version) => failure::exit_code(version::print(&mut std::io::stdout().lock())),
        Ok(Reading::External { name, words }) => failure::exit_code(external::run(&name, &words)),
        Err(fault) => failure::exit_code(Err(fault.into())),
    }
}

fn run_command(definition: clap::Command, words: Vec<OsString>) -> ExitCode {
    let parsed = definition.try_get_matches_from(&words);
    let arguments = match parsed.and_then(|matches| Arguments::from_arg_matches(&matches)) {
        Ok(arguments) => arguments,
        Err(error) => return failure::of_arguments(&error, &words),
    };
    arguments.global.start_log();
    // Lines of a listing are many and short.
    let mut out = BufWriter::with_capacity(64 * 1024, std::io::stdout().lock());
    let done = match &arguments.command {
        _ if arguments.version => version::print(&mut out),
        Some(command) => command.run(&arguments.global, &mut out),
        None => Err(anyhow::anyhow!("No command specified; see ostree --help")),
    };
    let flushed = out.flush().context("Writing to standard output");
    failure::exit_code(done.and(flushed))
}

/// Prints the help of the command at `path`.
fn show_help(definition: clap::Command, path: &[String], long: bool, all: bool) -> ExitCode {
    let definition = refused::describe(definition);
    let definition = if all { refused::unhide(definition) } else { definition };
    let request = if long { "--help" } else { "-h" };
    let words = ["ostree"].into_iter().chain(path.iter().map(String::as_str)).chain([request]);
    match definition.try_get_matches_from(words) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => failure::of_arguments(&error, &[]),
    }
}
