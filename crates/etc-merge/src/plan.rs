// SPDX-License-Identifier: MIT OR Apache-2.0
//! The plan of a merge, path by path: made by looking at three trees, without touching any of them.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use anyhow::Result;
use durable::kind_of;
use fn_error_context::context;
use formats::etc_policy::{Policies, Policy};
use rustix::fs::FileType;

use crate::changes::{Change, Changes, What, same_at};
use crate::copy::{descend, split};
use crate::meta::Attributes;

/// The trees of a merge.
#[derive(Debug, Clone, Copy)]
pub struct Trees<'a> {
    /// The defaults that `local` was made from: `usr/etc` of the old deployment.
    pub old: BorrowedFd<'a>,
    /// The administrator's version of them: its `etc`.
    pub local: BorrowedFd<'a>,
    /// The new defaults: `usr/etc` of the new deployment.
    pub new: BorrowedFd<'a>,
}

/// A merge that was decided on. A directory comes before what is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Each path that changed on either side, sorted.
    pub items: Vec<Item>,
    /// Whether what is carried over has its extended attributes.
    pub attributes: Attributes,
}

/// The fate of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Relative to `/etc`.
    pub path: PathBuf,
    /// The outcome.
    pub outcome: Outcome,
    /// The administrator's change of it.
    pub local: Option<What>,
    /// The update's change of it, or of a directory that it is in.
    pub update: Option<What>,
    /// The policy that decides where both have changed it.
    pub policy: Option<Policy>,
}

/// The outcomes for a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// A local change that the update has nothing to say about, or says the same.
    Kept,
    /// A default that comes or changes with the update.
    Updated,
    /// A default that goes with the update.
    Removed,
    /// Changed on both sides, and not to the same; the policy decides.
    Conflict,
    /// As a conflict; and it is not of the same kind any more, or has lost the directory that it was in. A local change
    /// that has no place in the new tree is not carried over.
    TypeChange,
    /// A socket, pipe or device: it belongs to a running program.
    Skipped,
}

impl Outcome {
    /// One word, as listings have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Updated => "updated",
            Self::Removed => "removed",
            Self::Conflict => "conflict",
            Self::TypeChange => "type-change",
            Self::Skipped => "skipped",
        }
    }
}

/// The ending of the name under which a new default lies beside the local side.
const NEW: &str = ".new";

impl Item {
    /// Where the new default is put, if both sides are kept.
    pub fn beside(&self) -> Option<PathBuf> {
        let mut name = self.path.file_name()?.to_owned();
        name.push(NEW);
        (self.policy == Some(Policy::KeepBoth)).then(|| self.path.with_file_name(name))
    }
}

impl Plan {
    /// Compares the trees, and decides.
    pub fn new(trees: &Trees<'_>, policies: &Policies) -> Result<Self> {
        let local = Changes::between(trees.old, trees.local)?;
        let update = Changes::between(trees.old, trees.new)?;
        let changed = update.list.iter().map(|change| (change.path.as_path(), change.what)).collect();
        let updates = Updates { changed, new: trees.new };
        let mut items = Vec::new();
        for change in &local.list {
            items.push(updates.meet(trees, change, policies)?);
        }
        // A default that an earlier merge has put beside is put there anew, and so is no local addition.
        let beside: Vec<PathBuf> = items.iter().filter_map(Item::beside).collect();
        items.retain(|item| item.local != Some(What::Added) || !beside.contains(&item.path));
        let local: BTreeMap<&Path, What> =
            local.list.iter().map(|change| (change.path.as_path(), change.what)).collect();
        for Change { path, what } in &update.list {
            if local.contains_key(path.as_path()) || is_closed(trees, &local, path)? {
                continue;
            }
            let outcome = if *what == What::Removed { Outcome::Removed } else { Outcome::Updated };
            items.push(Item { path: path.clone(), outcome, local: None, update: Some(*what), policy: None });
        }
        items.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self { items, attributes: Attributes::Keep })
    }

    /// The same, with or without extended attributes.
    pub fn with(self, attributes: Attributes) -> Self {
        Self { attributes, ..self }
    }

    /// Paths that both sides have changed, and not to the same.
    pub fn conflicts(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| item.policy.is_some())
    }

    /// Conflicts for which there is to be no deployment.
    pub fn refusals(&self) -> impl Iterator<Item = &Item> {
        self.conflicts().filter(|item| item.policy == Some(Policy::Fail))
    }

    /// How many local changes of a kind there are.
    pub fn count(&self, what: What) -> usize {
        self.items.iter().filter(|item| item.local == Some(what)).count()
    }

    /// Lists the part that is not done yet in `there`, an `/etc` that was merged before: local changes that are carried over and are
    /// not there.
    pub fn not_done_in(mut self, there: BorrowedFd<'_>, trees: &Trees<'_>) -> Result<Self> {
        let mut items = Vec::new();
        for item in self.items.drain(..) {
            let carried = item.local.is_some()
                && item.policy != Some(Policy::TakeNew)
                && item.outcome != Outcome::Skipped;
            if carried && !same_at(trees.local, there, &item.path)? {
                items.push(item);
            }
        }
        Ok(Self { items, attributes: self.attributes })
    }
}

/// The changes of the update.
struct Updates<'a> {
    changed: BTreeMap<&'a Path, What>,
    new: BorrowedFd<'a>,
}

impl Updates<'_> {
    /// Decides the outcome for a local change.
    fn meet(&self, trees: &Trees<'_>, change: &Change, policies: &Policies) -> Result<Item> {
        let Change { path, what } = change;
        let kind = kind_at(trees.local, path)?;
        let item = |outcome, update| Item {
            path: path.clone(),
            outcome,
            local: Some(*what),
            update,
            policy: match outcome {
                Outcome::Conflict | Outcome::TypeChange => Some(policies.of(path)),
                _ => None,
            },
        };
        let is_copied =
            |kind| matches!(kind, FileType::RegularFile | FileType::Directory | FileType::Symlink);
        if kind.is_some_and(|kind| !is_copied(kind)) {
            return Ok(item(Outcome::Skipped, self.at(path)?));
        }
        let update = match self.at(path)? {
            None if kind != Some(FileType::Directory) && self.below(path) => Some(What::Modified),
            update => update,
        };
        let Some(update) = update else { return Ok(item(Outcome::Kept, None)) };
        if same_at(trees.local, trees.new, path)? {
            return Ok(item(Outcome::Kept, Some(update)));
        }
        let new = kind_at(trees.new, path)?;
        let lost_its_place = || -> Result<bool> {
            let parents = path.ancestors().skip(1).filter(|parent| *parent != Path::new(""));
            for parent in parents {
                if kind_at(trees.new, parent)?.is_some_and(|kind| kind != FileType::Directory) {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        let changes_kind = match (kind, new) {
            (None, _) => false,
            (Some(_), None) => lost_its_place()?,
            (Some(local), Some(new)) => local != new,
        };
        Ok(item(if changes_kind { Outcome::TypeChange } else { Outcome::Conflict }, Some(update)))
    }

    /// Returns the update's change of a path. The change of a directory is one of all that is in it, if it goes or becomes
    /// something else; of one that stays, each path in it is listed.
    fn at(&self, path: &Path) -> Result<Option<What>> {
        if let Some(what) = self.changed.get(path) {
            return Ok(Some(*what));
        }
        for parent in path.ancestors().skip(1) {
            match self.changed.get(parent) {
                Some(What::Removed) => return Ok(Some(What::Removed)),
                Some(What::Modified) if kind_at(self.new, parent)? != Some(FileType::Directory) => {
                    return Ok(Some(What::Modified));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// Whether the update changes something in the directory `path`.
    fn below(&self, path: &Path) -> bool {
        let after = (Bound::Excluded(path), Bound::Unbounded);
        self.changed.range::<Path, _>(after).next().is_some_and(|(next, _)| next.starts_with(path))
    }
}

/// Whether a path has no place because of what was done locally to a directory that it is in.
fn is_closed(trees: &Trees<'_>, local: &BTreeMap<&Path, What>, path: &Path) -> Result<bool> {
    for parent in path.ancestors().skip(1) {
        match local.get(parent) {
            None => {}
            Some(What::Removed) => return Ok(true),
            Some(_) if kind_at(trees.local, parent)? != Some(FileType::Directory) => return Ok(true),
            Some(_) => {}
        }
    }
    Ok(false)
}

/// Returns the kind of the entry at a path, if it is there; never through a link.
#[context("Looking at /etc/{}", path.display())]
pub(crate) fn kind_at(tree: BorrowedFd<'_>, path: &Path) -> Result<Option<FileType>> {
    let (parent, name) = split(path)?;
    match descend(tree, parent)? {
        Some(parent) => Ok(kind_of(parent.as_fd(), &name)?),
        None => Ok(None),
    }
}
