// SPDX-License-Identifier: MIT OR Apache-2.0
//! Carrying changes into the `/etc` of a new deployment.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rustix::fs::{AtFlags, FileType, Mode};
use rustix::io::Errno;

use crate::changes::{Change, Changes, What};
use crate::copy::{Copied, copy_entry, has_changed, names, open_dir_raw, remove};
use crate::meta::Meta;

/// What a merge did beyond applying each change.
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

impl Changes {
    /// Applies the changes that were made in `current` to `new`, a fresh copy of the new defaults.
    pub fn apply(&self, current: BorrowedFd<'_>, new: BorrowedFd<'_>) -> Result<Report> {
        let mut merge = Merge { current, new, report: Report::default() };
        for (index, Change { path, what }) in self.list.iter().enumerate() {
            let listed_inside = self.list.get(index + 1).is_some_and(|next| next.path.starts_with(path));
            let applied = match merge.apply(path, *what, listed_inside) {
                Err(error) if has_changed(&error) => merge.clash(path, CHANGING),
                other => other,
            };
            applied.with_context(|| format!("Merging /etc/{}", path.display()))?;
        }
        Ok(merge.report)
    }
}

/// A merge under way: from one `/etc` into another.
struct Merge<'a> {
    current: BorrowedFd<'a>,
    new: BorrowedFd<'a>,
    report: Report,
}

impl Merge<'_> {
    /// `listed_inside`: whether what is in a directory of this path is listed, and so comes by itself.
    fn apply(&mut self, path: &Path, what: What, listed_inside: bool) -> Result<()> {
        let (parent, name) = split(path)?;
        // What vanishes while we look is not there to be carried over.
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
        let Some((source, meta)) = source else { return remove(target.as_fd(), &name) };
        let there = kind_of(target.as_fd(), &name)?;
        match (meta.kind(), there) {
            (FileType::Directory, Some(FileType::Directory)) => {}
            (_, Some(FileType::Directory)) if !is_empty(target.as_fd(), &name)? => {
                return self.clash(path, DIRECTORY_NOW);
            }
            (FileType::Directory, _) if what == What::Added && listed_inside => {
                remove(target.as_fd(), &name)?;
                rustix::fs::mkdirat(&target, &name, Mode::RWXU)?;
            }
            _ => return self.copy(path, source.as_fd(), &name, target.as_fd()),
        }
        Ok(meta.write(target.as_fd(), &name)?)
    }

    /// Copies beside what the new tree has, which goes when the copy is whole.
    fn copy(
        &mut self,
        path: &Path,
        source: BorrowedFd<'_>,
        name: &CStr,
        target: BorrowedFd<'_>,
    ) -> Result<()> {
        const BESIDE: &CStr = c".merging";
        remove(target, BESIDE)?;
        match copy_entry(source, name, target, BESIDE)? {
            Copied::Done => {
                remove(target, name)?;
                Ok(rustix::fs::renameat(target, BESIDE, target, name)?)
            }
            Copied::OfNoKind => {
                self.report.skipped.push(path.to_owned());
                remove(target, name)
            }
            Copied::Gone => Ok(()),
        }
    }

    /// The directory of a changed path in the current tree, and what the path is there now.
    fn read_source(&self, parent: &Path, name: &CStr) -> Result<Option<(OwnedFd, Meta)>> {
        let Some(source) = descend(self.current, parent)? else { return Ok(None) };
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
    fn parent_in_new(&self, parent: &Path, create: bool) -> Result<Parent> {
        let mut dir = self.new.try_clone_to_owned()?;
        let mut done = PathBuf::new();
        for part in parent {
            let name = CString::new(part.as_bytes())?;
            if create && kind_of(dir.as_fd(), &name)?.is_none() {
                let Some(template) = descend(self.current, &done)? else { return Ok(Parent::Missing) };
                rustix::fs::mkdirat(&dir, &name, Mode::RWXU)?;
                Meta::read(template.as_fd(), &name)?.write(dir.as_fd(), &name)?;
            }
            done.push(part);
            dir = match open_dir_raw(dir.as_fd(), &name) {
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

/// Opens a directory below `dir`, never through a link; `None` where it is not there (any more).
fn descend(dir: BorrowedFd<'_>, path: &Path) -> Result<Option<OwnedFd>> {
    let mut dir = dir.try_clone_to_owned()?;
    for part in path {
        dir = match open_dir_raw(dir.as_fd(), &CString::new(part.as_bytes())?) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            other => other?,
        };
    }
    Ok(Some(dir))
}

fn split(path: &Path) -> Result<(&Path, CString)> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Ok((parent, CString::new(name.as_bytes())?)),
        _ => bail!("{path:?} names nothing below /etc"),
    }
}

fn kind_of(dir: BorrowedFd<'_>, name: &CStr) -> Result<Option<FileType>> {
    match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn is_empty(dir: BorrowedFd<'_>, name: &CStr) -> Result<bool> {
    Ok(names(open_dir_raw(dir, name)?.as_fd())?.is_empty())
}
