// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree pull-local`.

use std::path::PathBuf;

use anyhow::{Result, bail};
use repo::Repo;
use transport::local::{Options, pull};

use crate::Output;
use crate::global::Global;
use crate::pull_options::{PullOptions, print_stats};

/// Copy data from SRC_REPO
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree --repo=repo pull-local build-repo exampleos/x86_64")]
pub(crate) struct Args {
    /// Path of the repository to copy from
    #[arg(value_name = "SRC_REPO")]
    source: PathBuf,
    /// Refs or checksums; all refs if none are given
    #[arg(value_name = "REF")]
    refs: Vec<String>,
    /// Add REMOTE to refspec
    #[arg(long)]
    remote: Option<String>,
    /// Accepted for compatibility: local sources are read object by object
    #[arg(long)]
    disable_static_deltas: bool,
    #[command(flatten)]
    common: PullOptions,
    #[command(flatten)]
    later: NotYet,
}

/// Options of the C tools that are refused by name instead of being ignored.
#[derive(Debug, clap::Args)]
struct NotYet {
    #[arg(long, hide = true)]
    gpg_verify: bool,
    #[arg(long, hide = true)]
    gpg_verify_summary: bool,
    #[arg(long, hide = true)]
    require_static_deltas: bool,
}

impl NotYet {
    fn refuse(&self) -> Result<()> {
        for (given, name) in [
            (self.gpg_verify, "--gpg-verify"),
            (self.gpg_verify_summary, "--gpg-verify-summary"),
            (self.require_static_deltas, "--require-static-deltas"),
        ] {
            if given {
                bail!("{name} is not supported yet; nothing was pulled");
            }
        }
        Ok(())
    }
}

impl Args {
    pub(crate) fn run(&self, global: &Global, out: &mut Output<'_>) -> Result<()> {
        self.later.refuse()?;
        let repo = self.common.open(global)?;
        if self.remote.as_deref().is_some_and(|remote| remote.is_empty() || remote.contains('/')) {
            bail!("Invalid remote name '{}'", self.remote.as_deref().unwrap_or_default());
        }
        let source = Repo::open(&self.source)?;
        let options = Options { remote: self.remote.clone(), ..self.common.of(self.refs.clone()) };
        print_stats(&pull(&repo, &source, &options)?, out)
    }
}
