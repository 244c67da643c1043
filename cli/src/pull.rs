// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree pull`.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use repo::Remotes;
use transport::local::{AgeCheck, Options};
use transport::remote::{RemoteOptions, pull};

use crate::Output;
use crate::global::Global;
use crate::pull_options::{PullOptions, print_stats};

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
    /// Write refs suitable for a mirror and fetches all refs if none provided
    #[arg(long)]
    mirror: bool,
    /// Only pull the provided subpath(s)
    #[arg(long, value_name = "PATH")]
    subpath: Vec<String>,
    /// Pull objects from this URL instead of the one from the remote config
    #[arg(long)]
    url: Option<String>,
    /// Require fetched commits to have newer timestamps
    #[arg(short = 'T', long)]
    timestamp_check: bool,
    /// Require fetched commits to have newer timestamps than given rev
    #[arg(long, value_name = "REV")]
    timestamp_check_from_rev: Option<String>,
    // The sizes of static deltas, which are refused by name.
    #[arg(long, hide = true)]
    dry_run: bool,
    #[command(flatten)]
    common: PullOptions,
    #[command(flatten)]
    http: HttpOnly,
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
        ensure!(!self.dry_run, "--dry-run requires --require-static-deltas");
        log::debug!("Without meaning for a local source: {:?}", self.http);
        let remote = self.remote.as_deref().context("REMOTE must be specified")?;
        let repo = self.common.open(global)?;
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
            ..self.common.of(first.into_iter().chain(self.refs.iter().cloned()).collect())
        };
        let how = RemoteOptions { url: self.url.clone(), mirror: self.mirror };
        let remotes = Remotes::load(&repo, None)?;
        print_stats(&pull(&repo, &remotes, remote, &how, &options)?, out)
    }
}
