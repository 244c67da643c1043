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
use durable::{Descent, Mounts, kind_of, names, open_dir, shown};
use fn_error_context::context;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::meta::{Attributes, Labels, Meta, Times, set_times};

/// Copies the directory `name` of `from` with all that is in it to `new_name` in `to`, where nothing of this
/// name may be. Sockets, pipes and devices are left out: they belong to running programs.
pub fn copy_tree(from: BorrowedFd<'_>, name: &CStr, to: BorrowedFd<'_>, new_name: &CStr) -> Result<()> {
    let meta = Meta::read(from, name).with_context(|| format!("Reading {name:?}"))?;
    ensure!(meta.kind() == FileType::Directory, "{name:?} is not a directory");
    copy_as(from, name, &meta, to, new_name, DEFAULTS).map(|_| ())
}

/// Copies all that is in the directory `from` into `to`, where nothing of the same name may be; the owner and
/// mode of `to` itself stay.
pub fn copy_contents(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    copy_inside(from, to, DEFAULTS)
}

/// How a copy is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct How {
    pub(crate) labels: Labels,
    pub(crate) times: Times,
    pub(crate) attributes: Attributes,
}

/// Of what comes with the image.
const DEFAULTS: How = How { labels: Labels::Pass, times: Times::New, attributes: Attributes::Keep };

/// A directory that is being copied.
struct Copying {
    /// The names in it that are still to be copied, last one first.
    ahead: Vec<CString>,
    /// The metadata that its copy gets when it is filled; `None` of the first one.
    meta: Option<Meta>,
}

impl Copying {
    fn of(source: &Descent, meta: Option<Meta>) -> Result<Self> {
        let mut ahead = match names(source.here()).context("Reading a directory") {
            // It was removed after it was opened.
            Err(error) if has_changed(&error) => Vec::new(),
            other => other?,
        };
        ahead.reverse();
        Ok(Self { ahead, meta })
    }
}

/// Copies what is in `from` into `to`, however deep it is.
fn copy_inside(from: BorrowedFd<'_>, to: BorrowedFd<'_>, how: How) -> Result<()> {
    let mut source = Descent::new(from, Mounts::Enter)?;
    let mut target = Descent::new(to, Mounts::Enter)?;
    let mut levels = vec![Copying::of(&source, None)?];
    while let Some(level) = levels.last_mut() {
        if let Some(name) = level.ahead.pop() {
            let copied = copy_or_enter(&mut source, &mut target, &name, how);
            let entered =
                copied.with_context(|| format!("In {}", shown(&source.path_of(&name)).display()))?;
            if let Some(meta) = entered {
                levels.push(Copying::of(&source, Some(meta))?);
            }
            continue;
        }
        if source.leave().is_none() {
            break;
        }
        // More than one where somebody has moved the source away: what was not copied by then is gone.
        while target.depth() > source.depth() {
            let (depth, filled) = (target.depth(), levels.pop().and_then(|level| level.meta));
            let (Some(name), Some(meta)) = (target.leave(), filled) else { bail!("Nothing is being copied") };
            ensure!(target.depth() + 1 == depth, "The copy was moved while it was made");
            finish(&meta, target.here(), &name, how)?;
        }
    }
    Ok(())
}

/// Copies an entry, or makes and enters a directory for it in both trees, and gives what that must be given in the end.
fn copy_or_enter(source: &mut Descent, target: &mut Descent, name: &CStr, how: How) -> Result<Option<Meta>> {
    if kind_of(source.here(), name)? == Some(FileType::Directory) {
        match source.enter(name) {
            Ok(()) => {
                let meta = Meta::read(source.here(), c".")?;
                rustix::fs::mkdirat(target.here(), name, Mode::RWXU)
                    .with_context(|| format!("Creating directory {name:?}"))?;
                target.enter(name)?;
                return Ok(Some(meta));
            }
            // It is something else by now.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
            Err(errno) => return Err(errno).with_context(|| format!("Opening directory {name:?}")),
        }
    }
    copy_entry(source.here(), name, target.here(), name, how).map(|_| None)
}

/// Last, so that a directory without write permission can be filled first.
fn finish(meta: &Meta, to: BorrowedFd<'_>, new: &CStr, how: How) -> Result<()> {
    meta.write(to, new, how.labels, how.attributes)
        .and_then(|()| if how.times == Times::Keep { set_times(to, new, &meta.times()) } else { Ok(()) })
        .with_context(|| format!("Setting owner, mode and attributes of {new:?}"))
}

/// The name that a copy has until it is whole. What a power cut has left of one is no part of any `/etc`.
pub(crate) const BESIDE: &CStr = c".#ostree-etc-merge";

/// The outcome for an entry that was to be copied.
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
    how: How,
) -> Result<Copied> {
    /// A program that replaces a file does so once, and not in a circle.
    const ATTEMPTS: usize = 4;
    let mut last = Errno::AGAIN.into();
    for _ in 0..ATTEMPTS {
        let meta = match Meta::read(from, name) {
            Err(Errno::NOENT) => return Ok(Copied::Gone),
            other => other.with_context(|| format!("Reading {name:?}"))?,
        };
        match copy_as(from, name, &meta, to, new, how) {
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
    how: How,
) -> Result<bool> {
    match meta.kind() {
        FileType::Directory => {
            let source = open_dir(from, name).with_context(|| format!("Opening directory {name:?}"))?;
            rustix::fs::mkdirat(to, new, Mode::RWXU)
                .with_context(|| format!("Creating directory {new:?}"))?;
            let target = open_dir(to, new).with_context(|| format!("Opening directory {new:?}"))?;
            copy_inside(source.as_fd(), target.as_fd(), how)
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
    finish(meta, to, new, how)?;
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

/// Opens a directory below `dir`, never through a link; `None` where it is not there (any more).
#[context("Opening /etc/{}", path.display())]
pub(crate) fn descend(dir: BorrowedFd<'_>, path: &Path) -> Result<Option<OwnedFd>> {
    let mut dir = dir.try_clone_to_owned()?;
    for part in path {
        dir = match durable::find_dir(&dir, part)? {
            Some(below) => below,
            None => return Ok(None),
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

/// Removes an entry, directories with their content. What is gone already is no error.
pub(crate) fn remove(dir: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    durable::remove_named(dir, name)?.require_complete()
}
