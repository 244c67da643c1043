// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree pull`.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use repo::{Depth, Remotes, Stats};
use transport::local::{AgeCheck, Options};
use transport::remote::{RemoteOptions, pull};

use crate::global::Global;
use crate::{Output, size};

/// Download data from remote repository
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree --repo=repo pull origin exampleos/x86_64\n\n\
    Remotes with file:// URLs and paths are supported. A remote that asks for signatures is refused.")]
pub(crate) struct Args {
    /// Name of the remote, or REMOTE:BRANCH
    remote: Option<String>,
    /// Refs, each with @CHECKSUM behind it for another commit than the newest, or checksums
    #[arg(value_name = "BRANCH")]
    refs: Vec<String>,
    /// Fetch only the commit metadata
    #[arg(long)]
    commit_metadata_only: bool,
    /// Do not invoke fsync()
    #[arg(long)]
    disable_fsync: bool,
    /// Perform writes in such a way that avoids stalling concurrent processes
    #[arg(long)]
    per_object_fsync: bool,
    /// Write refs suitable for a mirror and fetches all refs if none provided
    #[arg(long)]
    mirror: bool,
    /// Only pull the provided subpath(s)
    #[arg(long, value_name = "PATH")]
    subpath: Vec<String>,
    /// Verify checksums of local sources (always enabled for HTTP pulls)
    #[arg(long)]
    untrusted: bool,
    /// Reject regular files with mode outside of 0775 (world writable, suid, etc.)
    #[arg(long)]
    bareuseronly_files: bool,
    /// Traverse DEPTH parents (-1=infinite) (default: 0)
    #[arg(long, allow_hyphen_values = true, default_value_t = 0)]
    depth: i64,
    /// Pull objects from this URL instead of the one from the remote config
    #[arg(long)]
    url: Option<String>,
    /// Require fetched commits to have newer timestamps
    #[arg(short = 'T', long)]
    timestamp_check: bool,
    /// Require fetched commits to have newer timestamps than given rev
    #[arg(long, value_name = "REV")]
    timestamp_check_from_rev: Option<String>,
    /// Do not verify commit bindings
    #[arg(long)]
    disable_verify_bindings: bool,
    #[command(flatten)]
    later: NotYet,
    #[command(flatten)]
    http: HttpOnly,
}

/// Options of the C tools that are refused by name instead of being ignored.
#[derive(Debug, clap::Args)]
struct NotYet {
    #[arg(long, hide = true)]
    require_static_deltas: bool,
    #[arg(long, hide = true)]
    dry_run: bool,
    #[arg(short = 'L', long, hide = true, value_name = "REPO")]
    localcache_repo: Vec<PathBuf>,
}

/// Options that mean something to HTTP sources only, which are refused themselves.
#[derive(Debug, clap::Args)]
struct HttpOnly {
    #[arg(long, hide = true, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    #[arg(long, hide = true)]
    disable_static_deltas: bool,
    #[arg(long, hide = true)]
    disable_retry_on_network_errors: bool,
    #[arg(long, hide = true)]
    http_trusted: bool,
    #[arg(long, hide = true, value_name = "NAME=VALUE")]
    http_header: Vec<String>,
    #[arg(long, hide = true, value_name = "MS")]
    update_frequency: Option<u32>,
    #[arg(long, hide = true, value_name = "N")]
    network_retries: Option<u32>,
    #[arg(long, hide = true, value_name = "N")]
    low_speed_limit_bytes: Option<u32>,
    #[arg(long, hide = true, value_name = "N")]
    low_speed_time_seconds: Option<u32>,
    #[arg(long, hide = true, value_name = "N")]
    max_outstanding_fetcher_requests: Option<u32>,
    #[arg(long, hide = true, value_name = "TEXT")]
    append_user_agent: Option<String>,
}

impl Args {
    pub(crate) fn run(&self, global: &Global, out: &mut Output<'_>) -> Result<()> {
        self.later.refuse()?;
        log::debug!("Without meaning for a local source: {:?}", self.http);
        let remote = self.remote.as_deref().context("REMOTE must be specified")?;
        let mut repo = global.open()?;
        if self.disable_fsync {
            repo.set_fsync(false);
        }
        if self.per_object_fsync {
            repo.set_per_object_fsync(true);
        }
        let (remote, first) = match remote.split_once(':') {
            Some((remote, branch)) => (remote, Some(branch.to_owned())),
            None => (remote, None),
        };
        let age_check = match (&self.timestamp_check_from_rev, self.timestamp_check) {
            (Some(rev), _) => AgeCheck::Commit(repo.resolve_rev(rev)?),
            (None, true) => AgeCheck::Refs,
            (None, false) => AgeCheck::None,
        };
        let options = Options {
            subpaths: self.subpath.clone(),
            age_check,
            bare_user_only_files: self.bareuseronly_files,
            depth: u64::try_from(self.depth).map_or(Depth::All, Depth::Parents),
            commit_metadata_only: self.commit_metadata_only,
            untrusted: self.untrusted,
            verify_bindings: !self.disable_verify_bindings,
            ..Options::new(first.into_iter().chain(self.refs.iter().cloned()).collect())
        };
        let how = RemoteOptions { url: self.url.clone(), mirror: self.mirror };
        let remotes = Remotes::load(&repo, None)?;
        print_stats(&pull(&repo, &remotes, remote, &how, &options)?, out)
    }
}

impl NotYet {
    fn refuse(&self) -> Result<()> {
        if self.dry_run && !self.require_static_deltas {
            bail!("--dry-run requires --require-static-deltas");
        }
        if self.require_static_deltas {
            bail!("--require-static-deltas is not supported yet; pull without it");
        }
        if !self.localcache_repo.is_empty() {
            bail!(
                "--localcache-repo is not supported yet; pull without it, or pull-local from that repository first"
            );
        }
        Ok(())
    }
}

/// Says what has arrived.
pub(crate) fn print_stats(stats: &Stats, out: &mut Output<'_>) -> Result<()> {
    let (metadata, content) = (stats.metadata_written, stats.content_written);
    let bytes = size::format(stats.bytes_written);
    writeln!(out, "{metadata} metadata, {content} content objects imported; {bytes} content written")?;
    Ok(())
}
