// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree pull-local`.

use std::path::PathBuf;

use anyhow::{Result, bail};
use repo::{Refspec, Repo};
use transport::local::{Options, plan, pull};

use crate::Output;
use crate::dry_run::DryRun;
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
    dry_run: DryRun,
}

impl Args {
    pub(crate) fn run(&self, global: &Global, out: &mut Output<'_>) -> Result<()> {
        let repo = self.common.open(global)?;
        if self.remote.as_deref().is_some_and(|remote| remote.is_empty() || remote.contains('/')) {
            bail!("Invalid remote name '{}'", self.remote.as_deref().unwrap_or_default());
        }
        // A directory above the refs is no remote.
        let _place: Option<Refspec> =
            self.remote.as_ref().map(|remote| format!("{remote}:main").parse()).transpose()?;
        let source = Repo::open(&self.source)?;
        let options = Options { remote: self.remote.clone(), ..self.common.of(self.refs.clone()) };
        if self.dry_run.is_on() {
            return self.dry_run.print(&plan(&repo, &source, &options)?.steps, out);
        }
        print_stats(&pull(&repo, &source, &options)?, out)
    }
}
