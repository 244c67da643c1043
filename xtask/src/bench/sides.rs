// SPDX-License-Identifier: MIT OR Apache-2.0
//! The two programs that are compared, the data that they work on, and what was measured of them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::measure::Sample;
use crate::process;

/// One of the two programs and where its results go.
pub(super) struct Side {
    /// Program and the arguments before its own.
    pub(super) program: Vec<OsString>,
    /// A directory for itself.
    pub(super) dir: PathBuf,
}

/// The programs and data that the cases share.
pub(super) struct Bench {
    pub(super) ours: Side,
    pub(super) theirs: Side,
    /// The program that measures.
    pub(super) meter: PathBuf,
    /// The tree to commit.
    pub(super) tree: PathBuf,
    /// A bare repository with the tree, made by the peer: both programs read the same bytes. `bench` is the tree, the
    /// versions of a system are what [`system`] makes of it.
    pub(super) repo: PathBuf,
    /// A place for a sysroot that both programs read, which the peer makes.
    pub(super) shared: Side,
}

/// The samples of one row.
pub(super) struct Measured {
    pub(super) name: &'static str,
    /// Our time over the peer's that we want at most.
    pub(super) target: f64,
    pub(super) ours: Vec<Sample>,
    pub(super) theirs: Vec<Sample>,
}

impl Side {
    pub(super) fn line<I: IntoIterator<Item = T>, T: Into<OsString>>(&self, arguments: I) -> Vec<OsString> {
        self.program.iter().cloned().chain(arguments.into_iter().map(Into::into)).collect()
    }

    pub(super) fn run<I: IntoIterator<Item = T>, T: Into<OsString>>(&self, arguments: I) -> Result<()> {
        let line = self.line(arguments);
        let (program, arguments) = line.split_first().context("no program")?;
        let mut command = process::command(program);
        command.args(arguments);
        process::output(&mut command).map(drop)
    }
}

pub(super) fn clear(dir: &Path) -> Result<()> {
    if dir.exists() {
        std::fs::remove_dir_all(dir).with_context(|| format!("Removing {}", dir.display()))?;
    }
    Ok(())
}

/// `--repo=PATH`.
pub(super) fn repo_option(repo: &Path) -> OsString {
    let mut option = OsString::from("--repo=");
    option.push(repo);
    option
}
