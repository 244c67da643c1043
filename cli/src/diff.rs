// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree diff`.

use anyhow::{Result, bail};
use repo::diff::Change;
use repo::{Entry, Repo};

use crate::Output;
use crate::global::Global;

/// Compare two commits, or a commit with its parent
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree --repo=repo diff exampleos/x86_64^ exampleos/x86_64")]
pub(crate) struct Args {
    /// Ref or checksum
    rev: String,
    /// Ref or checksum that is compared with it
    other: Option<String>,
    /// Print what differs, the default
    #[arg(long)]
    fs_diff: bool,
}

impl Args {
    pub(crate) fn run(&self, global: &Global, out: &mut Output<'_>) -> Result<()> {
        log::debug!("What differs is printed with and without --fs-diff: {}", self.fs_diff);
        let repo = global.open()?;
        let (from, to) = match &self.other {
            Some(other) => (root(&repo, &self.rev)?, root(&repo, other)?),
            None => (root(&repo, &format!("{}^", self.rev))?, root(&repo, &self.rev)?),
        };
        for (change, path) in repo.diff(from, to)? {
            let letter = match change {
                Change::Modified => 'M',
                Change::Deleted => 'D',
                Change::Added => 'A',
            };
            writeln!(out, "{letter}    {path}")?;
        }
        Ok(())
    }
}

fn root(repo: &Repo, rev: &str) -> Result<Entry> {
    if rev.starts_with('/') || rev.starts_with("./") {
        bail!("{rev} is a directory, which cannot be compared yet; commit it first");
    }
    repo.root_of(&repo.resolve_rev(rev)?)
}
