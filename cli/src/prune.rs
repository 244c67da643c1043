// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree prune`.

use anyhow::{Result, anyhow, bail};
use formats::Checksum;
use repo::prune::{Options, Selection};
use repo::{Depth, Repo, RepoPlan};

use crate::dry_run::DryRun;
use crate::global::Global;
use crate::{Output, size, time};

/// Search for unreachable objects
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree --repo=repo prune --refs-only --depth=3")]
pub(crate) struct Args {
    /// Only display unreachable objects; don't delete
    #[arg(long)]
    no_prune: bool,
    /// Only compute reachability via refs
    #[arg(long)]
    refs_only: bool,
    /// Only traverse DEPTH parents for each commit (default: -1=infinite)
    #[arg(long, allow_hyphen_values = true, default_value_t = -1)]
    depth: i64,
    /// Specify a commit to delete
    #[arg(long, value_name = "COMMIT")]
    delete_commit: Option<String>,
    /// Prune all commits older than the specified date
    #[arg(long, value_name = "DATE")]
    keep_younger_than: Option<String>,
    /// Only prune BRANCH (may be specified multiple times)
    #[arg(long, value_name = "BRANCH")]
    only_branch: Vec<String>,
    /// Additionally retain DEPTH parents of BRANCH
    #[arg(long, value_name = "BRANCH=DEPTH")]
    retain_branch_depth: Vec<String>,
    /// Only prune commit objects; their trees stay
    #[arg(long)]
    commit_only: bool,
    #[command(flatten)]
    dry_run: DryRun,
}

impl Args {
    pub(crate) fn run(&self, global: &Global, out: &mut Output<'_>) -> Result<()> {
        let mut repo = global.open()?;
        if self.delete_commit.is_some() && self.no_prune {
            bail!("Cannot specify both --delete-commit and --no-prune");
        }
        let doomed = self.delete_commit.as_deref().map(|commit| unnamed(&repo, commit)).transpose()?;
        let date = self.keep_younger_than.as_deref().map(time::parse);
        let retain = self.retain_branch_depth.iter().map(|text| Selection::parse_retain(text));
        let selection = Selection {
            keep_younger_than: date.transpose()?,
            only: self.only_branch.iter().map(|name| name.parse()).collect::<Result<_, _>>()?,
            retain: retain.collect::<Result<_>>()?,
        };
        if self.dry_run.is_on() {
            let plan = match self.no_prune {
                true => RepoPlan::new(&repo, "prune", Vec::new()),
                false => RepoPlan::prune(&repo, doomed.is_some()),
            };
            return self.dry_run.print(&plan?, out);
        }
        if let Some(commit) = doomed {
            repo.delete_commit(&commit)?;
        }
        let report = repo.prune(&Options {
            cached_checkout: None,
            refs_only: self.refs_only,
            depth: Depth::from_number(self.depth),
            dry_run: self.no_prune,
            commits_only: self.commit_only,
            keep: Vec::new(),
            selection,
        })?;
        let kind = if self.commit_only { "(commit only) objects" } else { "objects" };
        writeln!(out, "Total {kind}: {}", report.total)?;
        let (count, freed) = (report.pruned, size::format(report.freed));
        match (count, self.no_prune) {
            (0, _) => writeln!(out, "No unreachable objects")?,
            (_, true) => writeln!(out, "Would delete: {count} objects, freeing {freed}")?,
            (_, false) => writeln!(out, "Deleted {count} objects, {freed} freed")?,
        }
        Ok(())
    }
}

/// The commit that shall be deleted, which no ref names. It is given by its checksum: of a name, the C tools delete nothing, either.
fn unnamed(repo: &Repo, commit: &str) -> Result<Checksum> {
    let checksum: Checksum = commit.parse().map_err(|_| {
        let known =
            repo.resolve_rev(commit).map(|commit| format!("; it stands for {commit}")).unwrap_or_default();
        anyhow!(
            "Deleting object {commit}.commit: No such file or directory: give the checksum of a commit{known}"
        )
    })?;
    for refspec in repo.ref_names(None)? {
        if repo.ref_text(&refspec)?.as_deref() == Some(commit) {
            bail!("Commit '{checksum}' is referenced by '{refspec}'");
        }
    }
    Ok(checksum)
}
