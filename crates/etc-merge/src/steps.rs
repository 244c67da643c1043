// SPDX-License-Identifier: MIT OR Apache-2.0
//! The paths that carrying a plan into an `/etc` in use writes, in the order in which it does.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use durable::{names, open_dir};
use formats::etc_policy::Policy;
use rustix::fs::FileType;

use crate::changes::{What, is_one};
use crate::copy::{descend, split};
use crate::plan::{Item, Plan, Trees, kind_at};

/// One path that is written or removed. Paths are relative to `/etc`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A file or a link is copied, whole before it has its name.
    Copy {
        /// The tree that it comes from.
        from: Source,
        /// Its path in that tree.
        source: PathBuf,
        /// Its path in the new `/etc`.
        path: PathBuf,
        /// Whether it is a directory with all that is in it.
        is_directory: bool,
    },
    /// A directory is made, or gets another owner, mode or attributes.
    MakeDirectory(PathBuf),
    /// A file, a link, or a directory with all that is in it goes.
    Remove(PathBuf),
    /// A directory that was made gets its times, which filling it has changed.
    SetTimes(PathBuf),
}

/// The tree that a path comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The administrator's `/etc`.
    Local,
    /// The new defaults.
    New,
}

impl Plan {
    /// Lists the steps of [`apply`](Plan::apply) to an `/etc` in use. Writes nothing.
    ///
    /// # Errors
    ///
    /// One of the trees cannot be read.
    pub fn steps(&self, trees: &Trees<'_>, to: BorrowedFd<'_>) -> Result<Vec<Step>> {
        let mut merge = Merge { trees, to, made: Vec::new(), gone: BTreeSet::new(), steps: Vec::new() };
        let local: Vec<&Item> = self.items.iter().filter(|item| item.local.is_some()).collect();
        for (index, item) in local.iter().enumerate() {
            if item.policy == Some(Policy::TakeNew) {
                continue;
            }
            let listed_inside = local.get(index + 1).is_some_and(|next| next.path.starts_with(&item.path));
            merge
                .item(item, listed_inside)
                .with_context(|| format!("Planning the merge of /etc/{}", item.path.display()))?;
        }
        let times = merge.made.into_iter().map(Step::SetTimes);
        Ok(merge.steps.into_iter().chain(times).collect())
    }
}

/// A merge that is only thought through.
struct Merge<'a> {
    trees: &'a Trees<'a>,
    to: BorrowedFd<'a>,
    /// Directories that are made by then.
    made: Vec<PathBuf>,
    /// Paths that are removed by then.
    gone: BTreeSet<PathBuf>,
    steps: Vec<Step>,
}

impl Merge<'_> {
    fn item(&mut self, item: &Item, listed_inside: bool) -> Result<()> {
        let Some(what) = item.local else { return Ok(()) };
        if let Some(beside) = item.beside() {
            self.put_beside(&item.path, beside)?;
        }
        let path = &item.path;
        let kind = if what == What::Removed { None } else { kind_at(self.trees.local, path)? };
        if what != What::Removed && kind.is_none() || !self.reach_parent(path, kind.is_some())? {
            return Ok(());
        }
        let there = self.kind_by_then(path)?;
        let Some(kind) = kind else {
            self.remove(path, there);
            return Ok(());
        };
        match (kind, there) {
            (FileType::Directory, Some(FileType::Directory)) if !is_one(path) => {
                self.steps.push(Step::MakeDirectory(path.clone()));
            }
            (_, Some(FileType::Directory)) if kind != FileType::Directory && !self.is_empty(path)? => {}
            (FileType::Directory, _) if what == What::Added && listed_inside => {
                self.remove(path, there);
                self.make(path.clone());
            }
            (FileType::RegularFile | FileType::Symlink | FileType::Directory, _) => {
                self.copy(Source::Local, path, path.clone(), kind);
            }
            _ => self.remove(path, there),
        }
        Ok(())
    }

    fn put_beside(&mut self, path: &Path, beside: PathBuf) -> Result<()> {
        let Some(kind) = kind_at(self.trees.new, path)? else { return Ok(()) };
        let local = kind_at(self.trees.local, path)?;
        let is_merged = matches!(local, None | Some(FileType::Directory)) && !is_one(path);
        let is_left = kind == FileType::Directory && is_merged;
        if is_left || kind_at(self.trees.new, &beside)?.is_some() || !self.reach_parent(path, false)? {
            return Ok(());
        }
        self.copy(Source::New, path, beside, kind);
        Ok(())
    }

    /// Whether the directory of a path is there by then. Where `create` is set, those that are missing are made.
    fn reach_parent(&mut self, path: &Path, create: bool) -> Result<bool> {
        let parents: Vec<&Path> = path.ancestors().skip(1).filter(|dir| *dir != Path::new("")).collect();
        for dir in parents.into_iter().rev() {
            match self.kind_by_then(dir)? {
                Some(FileType::Directory) => {}
                None if create && kind_at(self.trees.local, dir)?.is_some() => self.make(dir.to_owned()),
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    fn make(&mut self, path: PathBuf) {
        self.steps.push(Step::MakeDirectory(path.clone()));
        self.made.push(path);
    }

    fn remove(&mut self, path: &Path, there: Option<FileType>) {
        if there.is_some() {
            self.steps.push(Step::Remove(path.to_owned()));
            self.gone.insert(path.to_owned());
        }
    }

    fn copy(&mut self, from: Source, source: &Path, path: PathBuf, kind: FileType) {
        let is_directory = kind == FileType::Directory;
        self.steps.push(Step::Copy { from, source: source.to_owned(), path, is_directory });
    }

    /// The kind of a path in the new `/etc` once the steps so far are done.
    fn kind_by_then(&self, path: &Path) -> Result<Option<FileType>> {
        if self.made.iter().any(|made| made == path) {
            return Ok(Some(FileType::Directory));
        }
        if path.ancestors().any(|above| self.gone.contains(above)) {
            return Ok(None);
        }
        kind_at(self.to, path)
    }

    fn is_empty(&self, path: &Path) -> Result<bool> {
        let (parent, name) = split(path)?;
        let Some(parent) = descend(self.to, parent)? else { return Ok(true) };
        Ok(names(open_dir(parent.as_fd(), &name)?.as_fd())?.is_empty())
    }
}
