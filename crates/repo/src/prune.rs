// SPDX-License-Identifier: MIT OR Apache-2.0
//! Deleting what nothing needs.

use std::collections::HashSet;

use anyhow::{Context as _, Result};
use formats::Checksum;
use formats::gvariant::{DictBuilder, Value};
use formats::object::{ObjectName, ObjectType};
use rustix::fs::{AtFlags, unlinkat};
use rustix::io::Errno;

pub use crate::prune_selection::Selection;
use crate::refs::Kept;
use crate::traverse::is_missing;
use crate::{Depth, Reachable, Repo, RepoError};

/// The commits and objects that a prune keeps.
#[derive(Debug, Clone)]
pub struct Options {
    /// Only refs keep commits; otherwise every commit in the repository keeps itself, and only objects without a
    /// commit go.
    pub refs_only: bool,
    /// How many parents of each ref's commit are kept, with `refs_only`.
    pub depth: Depth,
    /// Nothing is deleted, only counted.
    pub dry_run: bool,
    /// Only commits go, their trees stay.
    pub commits_only: bool,
    /// Commits that are kept besides those of refs, such as those of deployments.
    pub keep: Vec<Checksum>,
    /// The commit that the checkout in the cache was made from, if nothing in it was changed but at its top.
    pub cached_checkout: Option<Checksum>,
    /// The refs that have a history of their own; implies `refs_only`.
    pub selection: Selection,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            refs_only: false,
            depth: Depth::All,
            dry_run: false,
            commits_only: false,
            keep: Vec::new(),
            cached_checkout: None,
            selection: Selection::default(),
        }
    }
}

/// The objects that were deleted, or would be, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Objects that the repository held.
    pub total: u64,
    /// Objects that nothing needs.
    pub pruned: u64,
    /// Bytes of these.
    pub freed: u64,
    /// Whether the checkout cache may still have links of them, or files of its own.
    pub untrimmed: bool,
}

impl Repo {
    /// Deletes the objects that nothing needs, alone with the repository.
    pub fn prune(&self, options: &Options) -> Result<Report> {
        // A dry run changes nothing, but must not see half of what another one does.
        let _lock = if options.dry_run { self.lock_for_reading()? } else { Some(self.lock_exclusive()?) };
        if !options.dry_run {
            self.furnish()?;
            self.sweep_stale_temps()?;
        }
        let needed = self.find_needed(options)?;
        let mut report = Report::default();
        let (mut unneeded, mut kept) = (Vec::new(), HashSet::new());
        let has_cache = !options.dry_run && self.has_checkout_cache()?;
        // Objects that the checkout cache links are freed only after it lets go.
        let trimmed = match options.cached_checkout {
            Some(commit) if has_cache => self.trim_checkout_cache_of(&commit, &needed).map(|()| true),
            _ => Ok(false),
        };
        self.each_inode(|name, inode| {
            report.total += u64::from(match name.kind {
                ObjectType::Commit => true,
                // It lies beside a commit, or in the place of one; neither counts.
                ObjectType::CommitMeta | ObjectType::TombstoneCommit => false,
                _ => !options.commits_only,
            });
            let key = match name.kind {
                // Metadata beside a commit lives as long as the commit.
                ObjectType::CommitMeta => ObjectName::new(name.checksum, ObjectType::Commit),
                _ => name,
            };
            let kind_stays = match name.kind {
                ObjectType::TombstoneCommit | ObjectType::PayloadLink => true,
                ObjectType::Commit | ObjectType::CommitMeta => false,
                _ => options.commits_only,
            };
            if !kind_stays && !needed.contains(&key) {
                log::debug!("Pruning unneeded object {name}");
                unneeded.push(name);
            } else if has_cache && options.cached_checkout.is_none() {
                kept.insert(inode);
            }
        })?;
        // Commits first: an interrupted run leaves no commit without its tree.
        unneeded.sort_unstable_by_key(|name| (!matches!(name.kind, ObjectType::Commit), *name));
        for name in unneeded {
            report.pruned += u64::from(name.kind != ObjectType::CommitMeta);
            report.freed += self.object_size(name)?;
            if !options.dry_run {
                if name.kind == ObjectType::Commit {
                    self.bury(&name.checksum)?;
                }
                self.delete_object(name)?;
                if name.kind == ObjectType::Commit {
                    self.set_partial(&name.checksum, None)?;
                }
            }
        }
        let trimmed = match trimmed {
            Ok(false) if has_cache => self.trim_checkout_cache_to(kept),
            trimmed => trimmed.map(drop),
        };
        report.untrimmed = trimmed.is_err();
        trimmed.unwrap_or_else(|error| log::info!("{error:#}"));
        Ok(report)
    }

    fn find_needed(&self, options: &Options) -> Result<Reachable> {
        let mut needed = Reachable::new();
        let mut roots: HashSet<Checksum> = options.keep.iter().copied().collect();
        options.selection.check(self)?;
        let refs_only = options.refs_only || !options.selection.is_empty();
        if !refs_only {
            roots.extend(self.list_commits()?);
        }
        for commit in roots {
            needed.add_history(self, &commit, Depth::Parents(0), options.commits_only)?;
        }
        let depth = if refs_only { options.depth } else { Depth::Parents(0) };
        for Kept { refspec, name, commit } in self.kept_by_refs()? {
            let added = match &refspec {
                Some(refspec) if !options.selection.is_empty() => {
                    let (named, commits_only) = ((refspec, &commit), options.commits_only);
                    options.selection.add(&mut needed, self, named, depth, commits_only)
                }
                // A mirrored ref cannot be selected.
                None if !options.selection.is_empty() => {
                    needed.add_history(self, &commit, Depth::All, options.commits_only)
                }
                _ => needed.add_history(self, &commit, depth, options.commits_only),
            };
            match added {
                // A pull that was interrupted, or a commit that somebody has deleted. Without it the ref keeps nothing, and nothing is
                // gained by keeping all the rest until the disk is full.
                Err(error) if is_missing(&error, &ObjectName::new(commit, ObjectType::Commit)) => {
                    log::warn!("The {name} keeps nothing: there is no commit {commit}; pull or delete it");
                }
                walked => walked.with_context(|| format!("Walking the history of {name}"))?,
            }
        }
        Ok(needed)
    }

    /// Deletes a commit and the metadata beside it, but not its tree, which a prune then finds without a need. A tombstone says
    /// that it was deleted on purpose; from now on each commit that is pruned gets one.
    ///
    /// # Errors
    /// The repository lacks the commit, or the file system says no.
    pub fn delete_commit(&mut self, commit: &Checksum) -> Result<()> {
        let _lock = self.lock_exclusive()?;
        self.load_metadata(ObjectName::new(*commit, ObjectType::Commit))
            .with_context(|| format!("Deleting object {commit}.commit"))?;
        self.furnish()?;
        self.enable_tombstones()?;
        self.bury(commit)?;
        self.delete_object(ObjectName::new(*commit, ObjectType::Commit))?;
        match self.delete_object(ObjectName::new(*commit, ObjectType::CommitMeta)) {
            Err(error) if !matches!(error.downcast_ref(), Some(RepoError::NoMetadata(_))) => {
                return Err(error);
            }
            _ => {}
        }
        self.set_partial(commit, None)
    }

    fn enable_tombstones(&mut self) -> Result<()> {
        if self.has_tombstones()? {
            return Ok(());
        }
        let mut config = self.config().clone();
        config.set_boolean("core", "tombstone-commits", true);
        self.write_config(config)
    }

    /// Writes tombstones for parents that the repository lacks, and returns those parents, sorted. If there are any, each commit
    /// that is pruned from now on gets one, too.
    ///
    /// # Errors
    /// A commit cannot be read, or the file system says no.
    pub fn add_tombstones(&mut self) -> Result<Vec<Checksum>> {
        let _lock = self.lock_exclusive()?;
        self.furnish()?;
        let mut lost = Vec::new();
        for commit in self.list_commits()? {
            let Some(parent) = self.load_commit(&commit)?.parent else { continue };
            let has = |kind| self.has_object(ObjectName::new(parent, kind));
            if !has(ObjectType::Commit)? && !has(ObjectType::TombstoneCommit)? {
                lost.push(parent);
            }
        }
        lost.sort_unstable();
        lost.dedup();
        if !lost.is_empty() {
            self.enable_tombstones()?;
        }
        lost.iter().try_for_each(|commit| self.bury(commit))?;
        Ok(lost)
    }

    /// Whether a commit that is deleted leaves a tombstone.
    fn has_tombstones(&self) -> Result<bool> {
        Ok(self.config().boolean("core", "tombstone-commits")?.unwrap_or(false))
    }

    /// Writes the tombstone of a commit that is about to be deleted or is lost, where the repository has some.
    fn bury(&self, commit: &Checksum) -> Result<()> {
        if !self.has_tombstones()? {
            return Ok(());
        }
        // The checksum is text that ends with a zero, as in the C tools' file.
        let mut tombstone = DictBuilder::new();
        tombstone.insert("commit", Value::bytes(format!("{commit}\0").as_bytes()));
        let path = self.loose_path(ObjectName::new(*commit, ObjectType::TombstoneCommit));
        crate::bytes::replace_object(self.dir(), path.as_str(), tombstone.build().data())
            .with_context(|| format!("Writing the tombstone of {commit}"))
    }

    /// Deletes one object. The caller holds the exclusive lock.
    ///
    /// Errors: [`RepoError::NoMetadata`], [`RepoError::NoFile`].
    pub fn delete_object(&self, name: ObjectName) -> Result<()> {
        match unlinkat(self.objects(), self.loose_path(name).as_str(), AtFlags::empty()) {
            Err(Errno::NOENT) => Err(RepoError::missing(name).into()),
            deleted => deleted.with_context(|| format!("Deleting object {name}")),
        }
    }
}
