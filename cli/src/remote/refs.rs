// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree remote refs`.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::Output;
use crate::global::Global;

/// List remote refs
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree --repo=repo remote refs -r origin\n\n\
    The refs are read where they are: the remote needs no summary.")]
pub(super) struct Args {
    /// The remote
    name: Option<String>,
    /// Show revisions in listing
    #[arg(short = 'r', long)]
    revision: bool,
    /// Accepted for compatibility: nothing of a local remote is cached
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(&self, global: &Global, out: &mut Output<'_>) -> Result<()> {
        let name = self.name.as_deref().context("NAME must be specified")?;
        let (_, remotes) = super::open(global, None)?;
        for (branch, commit) in transport::remote::refs(&remotes, name)? {
            match self.revision {
                true => writeln!(out, "{name}:{branch}\t{commit}")?,
                false => writeln!(out, "{name}:{branch}")?,
            }
        }
        Ok(())
    }
}
