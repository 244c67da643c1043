// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree refs`.

use anyhow::{Context as _, Result, bail};
use formats::Checksum;
use repo::{RefPrefix, Refspec, Repo, RepoPlan, RepoStep};

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
        let prefixes =
            self.prefixes.iter().map(|prefix| prefix.parse()).collect::<Result<Vec<RefPrefix>, _>>();
        let prefixes = prefixes.context("Listing refs")?;
        if self.delete {
            if prefixes.is_empty() {
                bail!("At least one PREFIX is required when deleting refs");
            }
            return self.apply(&repo, &RepoPlan::delete_refs(&repo, &prefixes)?, out);
        }
        if self.dry_run.is_on() {
            bail!("--dry-run is for --create and --delete; a list changes nothing");
        }
        if prefixes.is_empty() {
            return self.list(&repo, None, out);
        }
        prefixes.iter().try_for_each(|prefix| self.list(&repo, Some(prefix), out))
    }

    fn list(&self, repo: &Repo, prefix: Option<&RefPrefix>, out: &mut Output<'_>) -> Result<()> {
        if self.alias {
            for repo::Alias { name, target, .. } in repo.list_aliases(prefix)? {
                // Of an alias that is asked for by its name, the C tools tell the commit.
                let is_named = prefix.is_some_and(|prefix| prefix.name.as_ref() == Some(&name.name));
                let target = if is_named { repo.ref_text(&name)?.unwrap_or(target) } else { target };
                writeln!(out, "{name} -> {target}")?;
            }
            return Ok(());
        }
        for refspec in repo.ref_names(prefix)? {
            let name = match prefix.filter(|_| !self.list) {
                Some(prefix) => prefix.strip(&refspec),
                None => refspec.to_string(),
            };
            match self.revision {
                true => writeln!(out, "{name}\t{}", repo.ref_text(&refspec)?.unwrap_or_default())?,
                false => writeln!(out, "{name}")?,
            }
        }
        Ok(())
    }

    /// Plans a new ref or alias, in place of an old one if that is asked for.
    fn plan_new(&self, repo: &Repo, new: &str, target: &str) -> Result<RepoPlan> {
        let new: Refspec = new.parse()?;
        // A commit is there by its name, too; an alias is pointed at another ref without further words.
        let is_there = repo.ref_text(&new)?.is_some() || new.to_string().parse::<Checksum>().is_ok();
        let is_alias = self.alias && repo.list_aliases(None)?.iter().any(|alias| alias.name == new);
        if is_there && !is_alias && !self.force {
            bail!("--create specified but ref {new} already exists");
        }
        if !self.alias {
            return RepoPlan::set_ref(repo, "refs", new, repo.resolve_rev(target)?);
        }
        let target: Refspec = target.parse()?;
        if let Some(remote) = new.remote.as_ref().or(target.remote.as_ref()) {
            bail!("Cannot create alias to remote ref: {remote}; an alias and its target are heads");
        }
        repo.ref_text(&target)?
            .with_context(|| format!("Cannot create alias to non-existent ref: {target}"))?;
        if repo.leads_to(&target, &new)? {
            bail!(
                "{target} leads to {new}: both would be links to each other, and the commit of {new} would be lost"
            );
        }
        repo.check_ref_place(&new)?;
        let alias = RepoStep::SetAlias { name: new.name, target: target.name };
        RepoPlan::new(repo, "refs", vec![alias])
    }

    fn apply(&self, repo: &Repo, plan: &RepoPlan, out: &mut Output<'_>) -> Result<()> {
        if self.dry_run.is_on() { self.dry_run.print(plan, out) } else { plan.apply_refs(repo) }
    }
}
