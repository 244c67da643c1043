// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree refs`.

use anyhow::{Context as _, Result, bail};
use repo::{Refspec, Repo};

use crate::Output;
use crate::global::Global;

/// List refs
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree --repo=repo refs --create=stable exampleos/x86_64")]
pub(crate) struct Args {
    /// Only refs below PREFIX, which is taken off their names
    prefix: Option<String>,
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
}

impl Args {
    pub(crate) fn run(&self, global: &Global, out: &mut Output<'_>) -> Result<()> {
        let repo = global.open()?;
        let prefix = self.prefix.as_deref();
        if let Some(new) = &self.create {
            return self.create(
                &repo,
                new,
                prefix.context("You must specify a revision when creating a new ref")?,
            );
        }
        if self.delete {
            return delete(&repo, prefix.context("--delete requires a PREFIX")?);
        }
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

    fn create(&self, repo: &Repo, new: &str, target: &str) -> Result<()> {
        let new: Refspec = new.parse()?;
        if repo.read_ref(&new)?.is_some() {
            if !self.force {
                bail!("--create specified but ref {new} already exists");
            }
            if self.alias {
                repo.delete_ref(&new)?;
            }
        }
        if !self.alias {
            return repo.set_ref(&new, &repo.resolve_rev(target)?);
        }
        let target: Refspec = target.parse()?;
        if new.remote.is_some() || target.remote.is_some() {
            bail!("Cannot create alias to remote ref");
        }
        repo.read_ref(&target)?
            .with_context(|| format!("Cannot create alias to non-existent ref: {target}"))?;
        repo.set_alias(&new.name, &target.name)
    }
}

fn delete(repo: &Repo, prefix: &str) -> Result<()> {
    let aliases = repo.list_aliases(None)?;
    let doomed = repo.list_refs(Some(prefix))?;
    // Nothing is deleted before it is known that all can be.
    for (refspec, _) in &doomed {
        let active = aliases.iter().find(|(alias, target)| {
            let target = target.trim_start_matches("../");
            target == refspec.name.as_str() && refspec.remote.is_none() && alias != refspec
        });
        if let Some((alias, _)) = active {
            bail!("Ref '{refspec}' has an active alias: '{alias}'");
        }
    }
    doomed.iter().try_for_each(|(refspec, _)| repo.delete_ref(refspec))
}
