// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree refs`.

use anyhow::{Context as _, Result, bail};
use repo::{Refspec, Repo, RepoPlan, RepoStep};

use crate::Output;
use crate::dry_run::DryRun;
use crate::global::Global;

/// List refs
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree --repo=repo refs --create=stable exampleos/x86_64")]
pub(crate) struct Args {
    /// Only refs below one of these, which is taken off their names
    #[arg(value_name = "PREFIX")]
    prefixes: Vec<String>,
    /// Delete refs which match PREFIX, rather than listing them
    #[arg(long)]
    delete: bool,
    /// Do not remove the prefix from the refs
    #[arg(long)]
    list: bool,
    /// Show revisions in listing
    #[arg(short, long)]
    revision: bool,
    /// If used with --create, create an alias, otherwise just list aliases
    #[arg(short = 'A', long)]
    alias: bool,
    /// Create a new ref for an existing commit
    #[arg(long, value_name = "NEWREF")]
    create: Option<String>,
    /// Overwrite existing refs when creating
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    dry_run: DryRun,
}

impl Args {
    pub(crate) fn run(&self, global: &Global, out: &mut Output<'_>) -> Result<()> {
        let repo = global.open()?;
        if let Some(new) = &self.create {
            let target = match &self.prefixes[..] {
                [] => bail!("You must specify a revision when creating a new ref"),
                [target] => target,
                _ => bail!("You must specify only 1 existing ref when creating a new ref"),
            };
            return self.apply(&repo, &self.plan_new(&repo, new, target)?, out);
        }
        if self.delete {
            if self.prefixes.is_empty() {
                bail!("At least one PREFIX is required when deleting refs");
            }
            return self.apply(&repo, &RepoPlan::delete_refs(&repo, &self.prefixes)?, out);
        }
        if self.dry_run.is_on() {
            bail!("--dry-run is for --create and --delete; a list changes nothing");
        }
        if self.prefixes.is_empty() {
            return self.list(&repo, None, out);
        }
        self.prefixes.iter().try_for_each(|prefix| self.list(&repo, Some(prefix), out))
    }

    fn list(&self, repo: &Repo, prefix: Option<&str>, out: &mut Output<'_>) -> Result<()> {
        let name = |refspec: &Refspec| {
            let full = refspec.to_string();
            match prefix.filter(|_| !self.list) {
                None => full,
                Some(prefix) => {
                    let rest = full
                        .strip_prefix(prefix.trim_end_matches('/'))
                        .map(|rest| rest.trim_start_matches('/'));
                    rest.filter(|rest| !rest.is_empty()).map_or_else(|| full.clone(), str::to_owned)
                }
            }
        };
        if self.alias {
            for (refspec, target) in repo.list_aliases(prefix)? {
                writeln!(out, "{} -> {target}", name(&refspec))?;
            }
            return Ok(());
        }
        for (refspec, commit) in repo.list_refs(prefix)? {
            match self.revision {
                true => writeln!(out, "{}\t{commit}", name(&refspec))?,
                false => writeln!(out, "{}", name(&refspec))?,
            }
        }
        Ok(())
    }

    /// Plans a new ref or alias, in place of an old one if that is asked for.
    fn plan_new(&self, repo: &Repo, new: &str, target: &str) -> Result<RepoPlan> {
        let new: Refspec = new.parse()?;
        let is_there = repo.read_ref(&new)?.is_some();
        if is_there && !self.force {
            bail!("--create specified but ref {new} already exists");
        }
        if !self.alias {
            return RepoPlan::set_ref(repo, "refs", new, repo.resolve_rev(target)?);
        }
        let target: Refspec = target.parse()?;
        if new.remote.is_some() || target.remote.is_some() {
            bail!("Cannot create alias to remote ref");
        }
        repo.read_ref(&target)?
            .with_context(|| format!("Cannot create alias to non-existent ref: {target}"))?;
        let old = is_there.then(|| RepoStep::DeleteRef { name: new.clone() });
        let alias = RepoStep::SetAlias { name: new.name, target: target.name };
        RepoPlan::new(repo, "refs", old.into_iter().chain([alias]).collect())
    }

    fn apply(&self, repo: &Repo, plan: &RepoPlan, out: &mut Output<'_>) -> Result<()> {
        if self.dry_run.is_on() { self.dry_run.print(plan, out) } else { plan.apply_refs(repo) }
    }
}
