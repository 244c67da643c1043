// SPDX-License-Identifier: MIT OR Apache-2.0
//! Trees that are looked at: a directory, or a commit that nobody has checked out yet.

use std::fs::File;
use std::io::Read;
use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

/// How many links are followed on the way to one file, as the kernel has it.
pub const MAX_LINKS: usize = 40;

/// Why a tree cannot be booted.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// No kernel in any of the places.
    #[error("No kernel in the tree: put one in usr/lib/modules/VERSION/vmlinuz")]
    None,
    /// The legacy layout's checksums must agree.
    #[error("{0} and {1} in the tree name different checksums")]
    Mismatch(String, String),
    /// A directory without end.
    #[error(
        "{0} in the tree holds too many files, or too many directories in one another: is a link in it a loop?"
    )]
    Loop(String),
    /// A directory that cannot be read, or a file that is none.
    #[error("Reading {path} in the tree: {errno}")]
    Read {
        /// Below the tree.
        path: String,
        /// The kernel's error.
        errno: Errno,
    },
    /// A commit that cannot be read.
    #[error("{0:#}")]
    Commit(#[from] anyhow::Error),
}

impl KernelError {
    pub(crate) fn read(path: &str, errno: Errno) -> Self {
        Self::Read { path: path.to_owned(), errno }
    }
}

/// A tree whose boot files are looked for. Paths are relative to its top. Links on their way are followed, and none leads out of it: `/`
/// is its top, and there is nothing above that.
pub trait ReadTree {
    /// The names in a directory; `None` where there is no directory. A name that is not UTF-8 cannot stand in a boot
    /// entry, and is left out.
    fn names(&self, path: &str) -> Result<Option<Vec<String>>, KernelError>;

    /// Where a regular file is once all links are followed, and its size; `None` for all else.
    fn file(&self, path: &str) -> Result<Option<(String, u64)>, KernelError>;

    /// The device and inode of a file by that path, where it has one of its own.
    fn inode(&self, _path: &str) -> Option<(u64, u64)> {
        None
    }

    /// Opens a file by the path that [`file`](Self::file) gives.
    fn open(&self, path: &str) -> Result<Box<dyn Read>, KernelError>;
}

impl ReadTree for BorrowedFd<'_> {
    fn names(&self, path: &str) -> Result<Option<Vec<String>>, KernelError> {
        let failed = |errno| KernelError::read(path, errno);
        let Some((found, _)) = resolve_links(self, path).map_err(failed)? else { return Ok(None) };
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = match rustix::fs::openat(self, found, flags, Mode::empty()) {
            Ok(dir) => dir,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(errno) => return Err(failed(errno)),
        };
        let mut names = Vec::new();
        for entry in Dir::new(dir).map_err(failed)? {
            match entry.map_err(failed)?.file_name().to_str() {
                Ok("." | "..") | Err(_) => {}
                Ok(name) => names.push(name.to_owned()),
            }
        }
        Ok(Some(names))
    }

    fn file(&self, path: &str) -> Result<Option<(String, u64)>, KernelError> {
        let found = resolve_links(self, path).map_err(|errno| KernelError::read(path, errno))?;
        let is_file = |stat: &Stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        Ok(found
            .filter(|(_, stat)| is_file(stat))
            .map(|(path, stat)| (path, u64::try_from(stat.st_size).unwrap_or(0))))
    }

    fn inode(&self, path: &str) -> Option<(u64, u64)> {
        let stat = rustix::fs::statat(self, path, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some((stat.st_dev, stat.st_ino))
    }

    fn open(&self, path: &str) -> Result<Box<dyn Read>, KernelError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(self, path, flags, Mode::empty());
        Ok(Box::new(File::from(opened.map_err(|errno| KernelError::read(path, errno))?)))
    }
}

/// A tree in which a path is followed, one name after the other.
pub trait Lookup {
    /// A file or a directory, but no link.
    type Entry;
    /// The reason why nothing can be looked up.
    type Error;

    /// Gives the top directory.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    fn top(&self) -> Result<Self::Entry, Self::Error>;

    /// Looks up the last name of `path` in `parent`, which the rest of `path` leads to without a link.
    ///
    /// `None` where nothing has this name, where `parent` is no directory, and for a link whose target is not UTF-8.
    ///
    /// # Errors
    ///
    /// The directory or the link cannot be read.
    fn look_up(&self, parent: &Self::Entry, path: &str) -> Result<Option<Found<Self::Entry>>, Self::Error>;
}

/// The result of looking up one name.
#[derive(Debug)]
pub enum Found<E> {
    /// A symbolic link, with its target.
    Link(String),
    /// Anything else.
    Entry(E),
}

/// Follows a path and all links on its way, and gives the path without links, and its entry.
///
/// The top of the tree is `.`; an absolute target begins there, and `..` does not lead beyond it. `None` stands for
/// nothing, and for more than [`MAX_LINKS`] links.
///
/// # Errors
///
/// A lookup failed.
pub fn resolve_links<T: Lookup + ?Sized>(
    tree: &T,
    path: &str,
) -> Result<Option<(String, T::Entry)>, T::Error> {
    let mut todo: Vec<String> = path.rsplit('/').map(str::to_owned).collect();
    let top = tree.top()?;
    // Each with its path.
    let mut way: Vec<(String, T::Entry)> = Vec::new();
    let mut links = 0;
    while let Some(name) = todo.pop() {
        match name.as_str() {
            "" | "." => continue,
            ".." => {
                way.pop();
                continue;
            }
            _ => {}
        }
        let (parent, here) = match way.last() {
            Some((path, entry)) => (entry, format!("{path}/{name}")),
            None => (&top, name),
        };
        match tree.look_up(parent, &here)? {
            None => return Ok(None),
            Some(Found::Entry(entry)) => way.push((here, entry)),
            Some(Found::Link(_)) if links == MAX_LINKS => return Ok(None),
            Some(Found::Link(target)) => {
                links += 1;
                if target.starts_with('/') {
                    way.clear();
                }
                todo.extend(target.rsplit('/').map(str::to_owned));
            }
        }
    }
    Ok(Some(way.pop().unwrap_or_else(|| (".".to_owned(), top))))
}

impl Lookup for BorrowedFd<'_> {
    type Entry = Stat;
    type Error = Errno;

    fn top(&self) -> Result<Stat, Errno> {
        rustix::fs::fstat(self)
    }

    fn look_up(&self, _parent: &Stat, path: &str) -> Result<Option<Found<Stat>>, Errno> {
        match rustix::fs::statat(self, path, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => {
                let target = rustix::fs::readlinkat(self, path, Vec::new())?;
                Ok(target.into_string().ok().map(Found::Link))
            }
            Ok(stat) => Ok(Some(Found::Entry(stat))),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(errno),
        }
    }
}

impl<T: ReadTree + ?Sized> ReadTree for &T {
    fn names(&self, path: &str) -> Result<Option<Vec<String>>, KernelError> {
        (**self).names(path)
    }

    fn file(&self, path: &str) -> Result<Option<(String, u64)>, KernelError> {
        (**self).file(path)
    }

    fn inode(&self, path: &str) -> Option<(u64, u64)> {
        (**self).inode(path)
    }

    fn open(&self, path: &str) -> Result<Box<dyn Read>, KernelError> {
        (**self).open(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn links_in_a_directory_lead_as_in_every_tree() {
        let top = tempfile::tempdir().unwrap();
        test_world::links::make(top.path());
        let dir = File::open(top.path()).unwrap();
        for (path, expected) in test_world::links::CASES {
            let found = dir.as_fd().file(path).unwrap().map(|(path, _)| path);
            assert_eq!(found.as_deref(), *expected, "{path}");
        }
    }
}
