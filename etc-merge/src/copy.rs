// SPDX-License-Identifier: MIT OR Apache-2.0
//! Copies of files, links and directories with owner, mode and extended attributes.
//!
//! Nothing is flushed here: whoever makes the copy part of a bootable deployment flushes the file system once.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::meta::{Labels, Meta};

/// Copies the directory `name` of `from` with all that is in it to `new_name` in `to`, where nothing of this
/// name may be. Sockets, pipes and devices are left out: they belong to running programs.
pub fn copy_tree(from: BorrowedFd<'_>, name: &CStr, to: BorrowedFd<'_>, new_name: &CStr) -> Result<()> {
    let meta = Meta::read(from, name).with_context(|| format!("Reading {name:?}"))?;
    ensure!(meta.kind() == FileType::Directory, "{name:?} is not a directory");
    copy_as(from, name, &meta, to, new_name, Labels::Pass).map(|_| ())
}

/// Copies all that is in the directory `from` into `to`, where nothing of the same name may be; the owner and
/// mode of `to` itself stay.
pub fn copy_contents(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    copy_all(from, to, Labels::Pass)
}

fn copy_all(from: BorrowedFd<'_>, to: BorrowedFd<'_>, labels: Labels) -> Result<()> {
    for name in names(from)? {
        copy_entry(from, &name, to, &name, labels)?;
    }
    Ok(())
}

/// The name that a copy has until it is whole. What a power cut has left of one is no part of any `/etc`.
pub(crate) const BESIDE: &CStr = c".#ostree-etc-merge";

/// What became of an entry that was to be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Copied {
    /// It is there, directories with their content.
    Done,
    /// It is of a kind that is not copied.
    OfNoKind,
    /// It is gone: somebody has removed it since it was listed.
    Gone,
}

/// Copies one entry to `new` in `to`, where nothing of this name may be. Programs may be writing to `from`: what changes
/// its kind while it is read is read again.
pub(crate) fn copy_entry(
    from: BorrowedFd<'_>,
    name: &CStr,
    to: BorrowedFd<'_>,
    new: &CStr,
    labels: Labels,
) -> Result<Copied> {
    /// Whoever replaces a file does so once, and not in a circle.
    const ATTEMPTS: usize = 4;
    let mut last = Errno::AGAIN.into();
    for _ in 0..ATTEMPTS {
        let meta = match Meta::read(from, name) {
            Err(Errno::NOENT) => return Ok(Copied::Gone),
            other => other.with_context(|| format!("Reading {name:?}"))?,
        };
        match copy_as(from, name, &meta, to, new, labels) {
            Ok(true) => return Ok(Copied::Done),
            Ok(false) => return Ok(Copied::OfNoKind),
            Err(error) if has_changed(&error) => {
                remove(to, new)?;
                last = error;
            }
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

/// Whether an error means that something is no longer what it was when it was listed.
pub(crate) fn has_changed(error: &anyhow::Error) -> bool {
    let errno = error.root_cause().downcast_ref::<Errno>();
    // `EINVAL` is what reading a link says that is none any more.
    errno.is_some_and(|errno| {
        matches!(
            *errno,
            Errno::NOENT | Errno::NOTDIR | Errno::ISDIR | Errno::LOOP | Errno::INVAL | Errno::NXIO
        )
    })
}

fn copy_as(
    from: BorrowedFd<'_>,
    name: &CStr,
    meta: &Meta,
    to: BorrowedFd<'_>,
    new: &CStr,
    labels: Labels,
) -> Result<bool> {
    match meta.kind() {
        FileType::Directory => {
            let source = open_dir(from, name)?;
            rustix::fs::mkdirat(to, new, Mode::RWXU)
                .with_context(|| format!("Creating directory {new:?}"))?;
            let target = open_dir(to, new)?;
            copy_all(source.as_fd(), target.as_fd(), labels)
                .with_context(|| format!("In {}", name.to_string_lossy()))?;
        }
        FileType::RegularFile => {
            copy_file(from, name, to, new).with_context(|| format!("Copying {name:?}"))?
        }
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(from, name, Vec::new())
                .with_context(|| format!("Reading {name:?}"))?;
            rustix::fs::symlinkat(target, to, new).with_context(|| format!("Creating link {new:?}"))?;
        }
        _ => return Ok(false),
    }
    // Last, so that a directory without write permission can be filled first.
    meta.write(to, new, labels).with_context(|| format!("Setting owner, mode and attributes of {new:?}"))?;
    Ok(true)
}

fn copy_file(from: BorrowedFd<'_>, name: &CStr, to: BorrowedFd<'_>, new: &CStr) -> Result<()> {
    let write = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let source = open_file(from, name)?;
    let target = rustix::fs::openat(to, new, write, Mode::RUSR | Mode::WUSR)?;
    durable::fill(source.as_fd(), target.as_fd())
}

/// Opens a regular file, never through a link.
pub(crate) fn open_file(dir: BorrowedFd<'_>, name: &CStr) -> Result<File, Errno> {
    let file = durable::open_to_read(dir, name, OFlags::NOFOLLOW)?;
    match FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) {
        FileType::RegularFile => Ok(File::from(file)),
        _ => Err(Errno::NXIO),
    }
}

/// Opens a directory, never through a link.
pub(crate) fn open_dir(dir: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
    open_dir_raw(dir, name).with_context(|| format!("Opening directory {name:?}"))
}

pub(crate) fn open_dir_raw(dir: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::empty())
}

/// Opens a directory below `dir`, never through a link; `None` where it is not there (any more).
pub(crate) fn descend(dir: BorrowedFd<'_>, path: &Path) -> Result<Option<OwnedFd>> {
    let mut dir = dir.try_clone_to_owned()?;
    for part in path {
        dir = match open_dir_raw(dir.as_fd(), &CString::new(part.as_bytes())?) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            other => other?,
        };
    }
    Ok(Some(dir))
}

/// The directory of a path below `/etc`, and its name there.
pub(crate) fn split(path: &Path) -> Result<(&Path, CString)> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Ok((parent, CString::new(name.as_bytes())?)),
        _ => bail!("{path:?} names nothing below /etc"),
    }
}

/// What an entry is; `None` where there is nothing of this name.
pub(crate) fn kind_of(dir: BorrowedFd<'_>, name: &CStr) -> Result<Option<FileType>> {
    match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The names in a directory, sorted: the order of what follows does not depend on the file system.
pub(crate) fn names(dir: BorrowedFd<'_>) -> Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir).context("Reading a directory")? {
        let entry = entry.context("Reading a directory")?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Removes an entry, directories with their content. What is gone already is no error.
pub(crate) fn remove(dir: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    let gone = |result: Result<(), Errno>| match result {
        Err(Errno::NOENT) => Ok(()),
        other => other.with_context(|| format!("Removing {name:?}")),
    };
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Err(Errno::ISDIR) => {
            let inside = open_dir(dir, name)?;
            for child in names(inside.as_fd())? {
                remove(inside.as_fd(), &child)?;
            }
            gone(rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR))
        }
        other => gone(other),
    }
}
