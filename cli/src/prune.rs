// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree prune`.

use anyhow::{Context as _, Result, bail};
use formats::{Checksum, date};
use repo::prune::Options;
use repo::{Depth, Repo, RepoPlan};

use crate::dry_run::DryRun;
use crate::global::Global;
use crate::{Output, size};

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
    /// Only prune commit objects; their trees stay
    #[arg(long)]
    commit_only: bool,
    #[command(flatten)]
    dry_run: DryRun,
}

impl Args {
    pub(crate) fn run(&self, global: &Global, out: &mut Output<'_>) -> Result<()> {
        let repo = global.open()?;
        if self.delete_commit.is_some() && self.no_prune {
            bail!("Cannot specify both --delete-commit and --no-prune");
        }
        let doomed = self.delete_commit.as_deref().map(|commit| unnamed(&repo, commit)).transpose()?;
        let date = self.keep_younger_than.as_deref().map(|text| {
            date::parse(text)
                .with_context(|| format!("Could not parse '{text}'; use YYYY-MM-DD HH:MM:SS or @SECONDS"))
        });
        let keep_younger_than = date.transpose()?;
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
            refs_only: self.refs_only || keep_younger_than.is_some(),
            depth: match u64::try_from(self.depth) {
                Ok(depth) => Depth::Parents(depth),
                // With a date, history counts only by its age.
                Err(_) if keep_younger_than.is_some() => Depth::Parents(0),
                Err(_) => Depth::All,
            },
            dry_run: self.no_prune,
            commits_only: self.commit_only,
            keep: Vec::new(),
            keep_younger_than,
        })?;
        writeln!(out, "Total {}: {}", if self.commit_only { "commits" } else { "objects" }, report.total)?;
        let (count, freed) = (report.pruned, size::format(report.freed));
        match (count, self.no_prune) {
            (0, _) => writeln!(out, "No unreachable objects")?,
            (_, true) => writeln!(out, "Would delete: {count} objects, freeing {freed}")?,
            (_, false) => writeln!(out, "Deleted {count} objects, {freed} freed")?,
        }
        Ok(())
    }
}

/// The commit that shall be deleted, which no ref names.
fn unnamed(repo: &Repo, commit: &str) -> Result<Checksum> {
    let checksum: Checksum = repo.resolve_rev(commit)?;
    if let Some((refspec, _)) = repo.list_refs(None)?.into_iter().find(|(_, target)| *target == checksum) {
        bail!("Commit '{checksum}' is referenced by '{refspec}'");
    }
    Ok(checksum)
}
