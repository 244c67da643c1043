// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree pull-local`.

use std::path::PathBuf;

use anyhow::{Result, bail};
use repo::{Depth, Repo};
use transport::local::{Options, pull};

use crate::global::Global;
use crate::{Output, size};

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
    /// Fetch only the commit metadata
    #[arg(long)]
    commit_metadata_only: bool,
    /// Add REMOTE to refspec
    #[arg(long)]
    remote: Option<String>,
    /// Do not invoke fsync()
    #[arg(long)]
    disable_fsync: bool,
    /// Verify checksums of local sources (always enabled for HTTP pulls)
    #[arg(long)]
    untrusted: bool,
    /// Traverse DEPTH parents (-1=infinite) (default: 0)
    #[arg(long, allow_hyphen_values = true, default_value_t = 0)]
    depth: i64,
    /// Accepted for compatibility: local sources are read object by object
    #[arg(long)]
    disable_static_deltas: bool,
    /// Do not verify that ref bindings of commits name the refs that are pulled
    #[arg(long)]
    disable_verify_bindings: bool,
}

impl Args {
    pub(crate) fn run(&self, global: &Global, out: &mut Output<'_>) -> Result<()> {
        let mut repo = global.open()?;
        if self.disable_fsync {
            repo.set_fsync(false);
        }
        if self.remote.as_deref().is_some_and(|remote| remote.is_empty() || remote.contains('/')) {
            bail!("Invalid remote name '{}'", self.remote.as_deref().unwrap_or_default());
        }
        let source = Repo::open(&self.source)?;
        let options = Options {
            refs: self.refs.clone(),
            remote: self.remote.clone(),
            depth: u64::try_from(self.depth).map_or(Depth::All, Depth::Parents),
            commit_metadata_only: self.commit_metadata_only,
            untrusted: self.untrusted,
            verify_bindings: !self.disable_verify_bindings,
        };
        let stats = pull(&repo, &source, &options)?;
        let (metadata, content) = (stats.metadata_written, stats.content_written);
        let bytes = size::format(stats.bytes_written);
        writeln!(out, "{metadata} metadata, {content} content objects imported; {bytes} content written")?;
        Ok(())
    }
}
