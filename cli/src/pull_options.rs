// SPDX-License-Identifier: MIT OR Apache-2.0
//! The options that `ostree pull` and `ostree pull-local` share.

use anyhow::Result;
use repo::{Depth, Repo, Stats};
use transport::local::Options;

use crate::global::Global;
use crate::{Output, size};

/// Options of both commands.
#[derive(Debug, clap::Args)]
pub(crate) struct PullOptions {
    /// Fetch only the commit metadata
    #[arg(long)]
    commit_metadata_only: bool,
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
    /// Do not verify that ref bindings of commits name the refs that are pulled
    #[arg(long)]
    disable_verify_bindings: bool,
}

impl PullOptions {
    /// Opens the repository that is pulled into, to be flushed as was asked for.
    pub(crate) fn open(&self, global: &Global) -> Result<Repo> {
        let mut repo = global.open()?;
        if self.per_object_fsync {
            repo.set_per_object_fsync(true);
        }
        if self.disable_fsync {
            repo.set_fsync(false);
        }
        Ok(repo)
    }

    /// How `refs` are pulled, as far as both commands say it.
    pub(crate) fn of(&self, refs: Vec<String>) -> Options {
        Options {
            depth: u64::try_from(self.depth).map_or(Depth::All, Depth::Parents),
            commit_metadata_only: self.commit_metadata_only,
            untrusted: self.untrusted,
            verify_bindings: !self.disable_verify_bindings,
            bare_user_only_files: self.bareuseronly_files,
            ..Options::new(refs)
        }
    }
}

/// Says what has arrived.
pub(crate) fn print_stats(stats: &Stats, out: &mut Output<'_>) -> Result<()> {
    let (metadata, content) = (stats.metadata_written, stats.content_written);
    let bytes = size::format(stats.bytes_written);
    writeln!(out, "{metadata} metadata, {content} content objects imported; {bytes} content written")?;
    Ok(())
}
