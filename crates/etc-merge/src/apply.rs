// SPDX-License-Identifier: MIT OR Apache-2.0
//! Carrying changes into the `/etc` of a new deployment.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use durable::fault;
use durable::{kind_of, names, open_dir};
use formats::etc_policy::Policy;
use rustix::fs::{FileType, Mode, OFlags, RenameFlags, Timestamps};
use rustix::io::Errno;

use crate::changes::{What, is_one};
use crate::copy::{BESIDE, Copied, How, copy_entry, descend, has_changed, remove, split};
use crate::meta::{Attributes, Labels, Meta, Times, set_times};
use crate::plan::{Item, Plan, Trees};

/// The work of a merge beyond applying each change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Changes that could not be carried over; there the new default stays.
    pub clashes: Vec<Clash>,
    /// Sockets, pipes and devices, which are never carried over.
    pub skipped: Vec<PathBuf>,
}

/// A change that has no place in the new tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clash {
    /// Relative to `/etc`.
    pub path: PathBuf,
    /// Why it has none.
    pub why: &'static str,
}

const DIRECTORY_NOW: &str =
    "the new tree has a directory with content here, the local one was changed to a file";
const CHANGING: &str = "it changed each time that it was read";
const PARENT_IS_NONE: &str = "a parent of it is not a directory in the new tree";
const NEW_IS_TAKEN: &str = "the new tree has a file of its own where its default would be put beside";

/// The state of the `/etc` that a merge writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A fresh copy of the new defaults. Whoever makes it part of a bootable deployment flushes the file system once.
    Fresh,
    /// One that may be booted at any time: a power cut leaves the old or the new of each file.
    InUse,
}

impl Plan {
    /// Applies it to `to`.
    pub fn apply(&self, trees: &Trees<'_>, to: BorrowedFd<'_>, target: Target) -> Result<Report> {
        let mut merge = Merge {
            trees,
            to,
            target,
            attributes: self.attributes,
            made: Vec::new(),
            report: Report::default(),
        };
        let carried = |item: &&Item| item.policy != Some(Policy::TakeNew);
        let local: Vec<&Item> = self.items.iter().filter(|item| item.local.is_some()).collect();
        for (index, item) in local.iter().enumerate().filter(|(_, item)| carried(item)) {
            let listed_inside = local.get(index + 1).is_some_and(|next| next.path.starts_with(&item.path));
            let applied = match merge.item(item, listed_inside) {
                Err(error) if has_changed(&error) => merge.clash(&item.path, CHANGING),
                other => other,
            };
            applied.with_context(|| format!("Merging /etc/{}", item.path.display()))?;
        }
        merge.set_times_of_directories()?;
        Ok(merge.report)
    }
}

/// A merge under way: from one `/etc` into another.
struct Merge<'a> {
    trees: &'a Trees<'a>,
    to: BorrowedFd<'a>,
    target: Target,
    attributes: Attributes,
    /// Local directories that were made, and the times that they are given when they are filled.
    made: Vec<(PathBuf, Timestamps)>,
    report: Report,
}

impl Merge<'_> {
    fn item(&mut self, item: &Item, listed_inside: bool) -> Result<()> {
        let Some(what) = item.local else { return Ok(()) };
        if let Some(beside) = item.beside() {
            self.put_beside(&item.path, &beside)?;
        }
        self.local(&item.path, what, listed_inside)
    }

    /// `listed_inside`: whether what is in a directory of this path is listed, and so comes by itself.
    fn local(&mut self, path: &Path, what: What, listed_inside: bool) -> Result<()> {
        let (parent, name) = split(path)?;
        // An entry that vanishes meanwhile is not there to be carried over.
        let source = match what {
            What::Removed => None,
            _ => match self.read_source(parent, &name)? {
                Some(found) => Some(found),
                None => return Ok(()),
            },
        };
        let target = match self.parent_in_new(parent, source.is_some())? {
            Parent::Dir(dir) => dir,
            Parent::Missing => return Ok(()),
            Parent::NotADirectory => return self.clash(path, PARENT_IS_NONE),
        };
        let Some((source, meta)) = source else {
            remove(target.as_fd(), &name)?;
            return self.settle(target.as_fd());
        };
        let there = kind_of(target.as_fd(), &name)?;
        match (meta.kind(), there) {
            (FileType::Directory, Some(FileType::Directory)) if !is_one(path) => {}
            (kind, Some(FileType::Directory))
                if kind != FileType::Directory && !is_empty(target.as_fd(), &name)? =>
            {
                return self.clash(path, DIRECTORY_NOW);
            }
            (FileType::Directory, _) if what == What::Added && listed_inside => {
                remove(target.as_fd(), &name)?;
                rustix::fs::mkdirat(&target, &name, Mode::RWXU)?;
                self.made.push((path.to_owned(), meta.times()));
            }
            _ => return self.copy(path, source.as_fd(), &name, target.as_fd(), &name, Times::Keep),
        }
        meta.write(target.as_fd(), &name, Labels::Count, self.attributes)?;
        self.settle(target.as_fd())
    }

    /// Puts the new default beside the local side, where it has the content of a file or link, or is in the way as a
    /// directory.
    fn put_beside(&mut self, path: &Path, beside: &Path) -> Result<()> {
        let (parent, name) = split(path)?;
        let (_, new_name) = split(beside)?;
        let Some(defaults) = descend(self.trees.new, parent)? else { return Ok(()) };
        let local = descend(self.trees.local, parent)?;
        let local = local.map(|dir| kind_of(dir.as_fd(), &name)).transpose()?.flatten();
        let in_the_way = match kind_of(defaults.as_fd(), &name)? {
            None => return Ok(()),
            Some(FileType::Directory)
                if matches!(local, None | Some(FileType::Directory)) && !is_one(path) =>
            {
                return Ok(());
            }
            Some(kind) => kind == FileType::Directory,
        };
        if kind_of(defaults.as_fd(), &new_name)?.is_some() {
            return self.clash(beside, NEW_IS_TAKEN);
        }
        let Parent::Dir(target) = self.parent_in_new(parent, false)? else { return Ok(()) };
        self.copy(beside, defaults.as_fd(), &name, target.as_fd(), &new_name, Times::New)?;
        if in_the_way && self.target == Target::Fresh { remove(target.as_fd(), &name) } else { Ok(()) }
    }

    /// Copies beside what is there, which goes when the copy is whole.
    fn copy(
        &mut self,
        path: &Path,
        source: BorrowedFd<'_>,
        name: &CStr,
        target: BorrowedFd<'_>,
        new_name: &CStr,
        times: Times,
    ) -> Result<()> {
        remove(target, BESIDE)?;
        match copy_entry(
            source,
            name,
            target,
            BESIDE,
            How { labels: Labels::Count, times, attributes: self.attributes },
        )? {
            Copied::Done => {
                self.settle_file(target)?;
                fault::point("etc-copied");
                put_in_place(target, new_name)?;
                self.settle(target)
            }
            Copied::OfNoKind => {
                self.report.skipped.push(path.to_owned());
                remove(target, new_name)
            }
            Copied::Gone => Ok(()),
        }
    }

    /// The contents of a copy before its name: else a power cut leaves an empty file under it.
    fn settle_file(&self, dir: BorrowedFd<'_>) -> Result<()> {
        if self.target == Target::Fresh {
            return Ok(());
        }
        match kind_of(dir, BESIDE)? {
            Some(FileType::RegularFile) => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let file = rustix::fs::openat(dir, BESIDE, flags, Mode::empty())?;
                rustix::fs::fsync(&file).context("Writing it to the disk")
            }
            Some(FileType::Directory) => durable::sync_fs(dir),
            _ => Ok(()),
        }
    }

    /// Putting something into them has changed these.
    fn set_times_of_directories(&self) -> Result<()> {
        for (path, times) in &self.made {
            let (parent, name) = split(path)?;
            let Some(dir) = descend(self.to, parent)? else { continue };
            set_times(dir.as_fd(), &name, times)
                .with_context(|| format!("Setting the times of /etc/{}", path.display()))?;
        }
        Ok(())
    }

    fn settle(&self, dir: BorrowedFd<'_>) -> Result<()> {
        if self.target == Target::Fresh { Ok(()) } else { durable::sync_dir(dir) }
    }

    /// The directory of a changed path in the current tree, and what the path is there now.
    fn read_source(&self, parent: &Path, name: &CStr) -> Result<Option<(OwnedFd, Meta)>> {
        let Some(source) = descend(self.trees.local, parent)? else { return Ok(None) };
        match Meta::read(source.as_fd(), name) {
            Err(Errno::NOENT) => Ok(None),
            other => Ok(Some((source, other?))),
        }
    }

    fn clash(&mut self, path: &Path, why: &'static str) -> Result<()> {
        self.report.clashes.push(Clash { path: path.to_owned(), why });
        Ok(())
    }

    /// Opens the parent of a changed path in the new tree. Where it is missing and `create` is set, it is made
    /// with the owner and mode that it has in the current one.
    fn parent_in_new(&mut self, parent: &Path, create: bool) -> Result<Parent> {
        let mut dir = self.to.try_clone_to_owned()?;
        let mut done = PathBuf::new();
        for part in parent {
            let name = CString::new(part.as_bytes())?;
            if create && kind_of(dir.as_fd(), &name)?.is_none() {
                let Some(template) = descend(self.trees.local, &done)? else { return Ok(Parent::Missing) };
                rustix::fs::mkdirat(&dir, &name, Mode::RWXU)?;
                let meta = Meta::read(template.as_fd(), &name)?;
                meta.write(dir.as_fd(), &name, Labels::Count, self.attributes)?;
                self.made.push((done.join(part), meta.times()));
                self.settle(dir.as_fd())?;
            }
            done.push(part);
            dir = match open_dir(dir.as_fd(), &name) {
                Ok(next) => next,
                Err(Errno::NOENT) => return Ok(Parent::Missing),
                Err(Errno::NOTDIR | Errno::LOOP) => return Ok(Parent::NotADirectory),
                Err(error) => return Err(error.into()),
            };
        }
        Ok(Parent::Dir(dir))
    }
}

enum Parent {
    Dir(OwnedFd),
    Missing,
    NotADirectory,
}

/// Gives what was copied its name, in one step, and removes what had it.
fn put_in_place(dir: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    match rustix::fs::renameat(dir, BESIDE, dir, name) {
        // One of them is a directory.
        Err(Errno::ISDIR | Errno::NOTDIR | Errno::EXIST | Errno::NOTEMPTY) => {}
        other => return Ok(other?),
    }
    if rustix::fs::renameat_with(dir, BESIDE, dir, name, RenameFlags::EXCHANGE).is_ok() {
        return remove(dir, BESIDE);
    }
    // A file system that cannot exchange names.
    remove(dir, name)?;
    Ok(rustix::fs::renameat(dir, BESIDE, dir, name)?)
}

fn is_empty(dir: BorrowedFd<'_>, name: &CStr) -> Result<bool> {
    Ok(names(open_dir(dir, name)?.as_fd())?.is_empty())
}
