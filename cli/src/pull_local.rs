// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree pull-local`.

use std::path::PathBuf;

use anyhow::{Result, bail};
use repo::{Depth, Repo};
use transport::local::{Options, pull};

use crate::Output;
use crate::global::Global;
use crate::pull::print_stats;

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
    /// Perform writes in such a way that avoids stalling concurrent processes
    #[arg(long)]
    per_object_fsync: bool,
    /// Verify checksums of local sources (always enabled for HTTP pulls)
    #[arg(long)]
    untrusted: bool,
    /// Reject regular files with mode outside of 0775 (world writable, suid, etc.)
    #[arg(long)]
    bareuseronly_files: bool,
    /// Traverse DEPTH parents (-1=infinite) (default: 0)
    #[arg(long, allow_hyphen_values = true, default_value_t = 0)]
    depth: i64,
    /// Accepted for compatibility: local sources are read object by object
    #[arg(long)]
    disable_static_deltas: bool,
    /// Do not verify that ref bindings of commits name the refs that are pulled
    #[arg(long)]
    disable_verify_bindings: bool,
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
        let mut repo = global.open()?;
        if self.per_object_fsync {
            repo.set_per_object_fsync(true);
        }
        if self.disable_fsync {
            repo.set_fsync(false);
        }
        if self.remote.as_deref().is_some_and(|remote| remote.is_empty() || remote.contains('/')) {
            bail!("Invalid remote name '{}'", self.remote.as_deref().unwrap_or_default());
        }
        let source = Repo::open(&self.source)?;
        let options = Options {
            remote: self.remote.clone(),
            depth: u64::try_from(self.depth).map_or(Depth::All, Depth::Parents),
            commit_metadata_only: self.commit_metadata_only,
            untrusted: self.untrusted,
            verify_bindings: !self.disable_verify_bindings,
            bare_user_only_files: self.bareuseronly_files,
            ..Options::new(self.refs.clone())
        };
        print_stats(&pull(&repo, &source, &options)?, out)
    }
}
