// SPDX-License-Identifier: MIT OR Apache-2.0
//! Options of every subcommand.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use log::{LevelFilter, Record};
use repo::Repo;

/// The repository of the running system.
const SYSTEM_REPO: &str = "/sysroot/ostree/repo";

/// Sends the log to stderr, a line a record.
pub(crate) fn start_log(level: LevelFilter) {
    let line = |out: &mut env_logger::fmt::Formatter, record: &Record<'_>| {
        writeln!(out, "{}: {}", record.level().as_str().to_lowercase(), record.args())
    };
    env_logger::Builder::new().filter_level(level).format(line).init();
}

/// Options that may stand before or after the subcommand.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Path to OSTree repository (defaults to current directory or /sysroot/ostree/repo)
    #[arg(long, value_name = "PATH", env = "OSTREE_REPO", global = true, hide_env = true)]
    pub(crate) repo: Option<PathBuf>,
    /// Print debug information during command processing
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}

impl Global {
    /// Warnings go to stderr as a line each, with `--verbose` the rest as well.
    pub(crate) fn start_log(&self) {
        start_log(if self.verbose { LevelFilter::Debug } else { LevelFilter::Warn });
    }

    /// The path of the repository: as given, else the current directory if it looks like one, else the system's.
    pub(crate) fn repo_path(&self) -> Result<&Path> {
        if let Some(path) = &self.repo {
            return Ok(path);
        }
        if Path::new("objects").is_dir() && Path::new("config").is_file() {
            return Ok(Path::new("."));
        }
        if Path::new(SYSTEM_REPO).is_dir() {
            return Ok(Path::new(SYSTEM_REPO));
        }
        bail!("Command requires a --repo argument")
    }

    /// Opens the repository.
    pub(crate) fn open(&self) -> Result<Repo> {
        Repo::open(self.repo_path()?)
    }
}
