// SPDX-License-Identifier: MIT OR Apache-2.0
//! Opening directories of the physical root, and of trees that somebody else has made.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use anyhow::{Context, Result, bail};
use fn_error_context::context;
use prepare_root::calls::Calls;
use rustix::fs::{Dir, Mode, OFlags};
use rustix::io::Errno;

const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Opens a directory that must be there.
pub fn open(at: impl AsFd, path: &str) -> Result<OwnedFd> {
    rustix::fs::openat(at, path, FLAGS, Mode::empty()).with_context(|| format!("Opening {path}"))
}

/// As [`open`], where the path is somebody else's, and through no link at its end.
pub fn open_named(at: impl AsFd, path: &Path) -> Result<OwnedFd> {
    rustix::fs::openat(at, path, FLAGS | OFlags::NOFOLLOW, Mode::empty())
        .with_context(|| format!("Opening {}", path.display()))
}

/// Opens a directory; `None` where there is nothing of this name.
pub fn find(at: impl AsFd, path: &str) -> Result<Option<OwnedFd>> {
    match rustix::fs::openat(at, path, FLAGS, Mode::empty()) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("Opening {path}")),
    }
}

/// As [`find`], for a name in a tree that somebody else has made: a link there could lead out of it.
pub fn find_in_tree(at: impl AsFd, name: &str) -> Result<Option<OwnedFd>> {
    match rustix::fs::openat(at, name, FLAGS | OFlags::NOFOLLOW, Mode::empty()) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::LOOP | Errno::NOTDIR) => {
            bail!("/{name} of the tree is no directory: a bootable tree has one there")
        }
        Err(error) => Err(error).with_context(|| format!("Opening {name} of the tree")),
    }
}

/// Lists the names in a directory that are UTF-8, sorted; any other is none of ours.
///
/// # Errors
/// The directory cannot be read.
pub fn names(dir: impl AsFd) -> Result<Vec<String>> {
    durable::text_names(dir).context("Reading a directory")
}

/// The names in a directory that are text; none where there is no directory of this name.
pub fn names_in(at: impl AsFd, path: &str) -> Result<Vec<String>> {
    let dir = match rustix::fs::openat(at, path, FLAGS, Mode::empty()) {
        Ok(dir) => dir,
        // A file among directories is somebody else's.
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("Opening {path}")),
    };
    names(dir).with_context(|| format!("Reading {path}"))
}

/// Whether there is something in a directory; `None` where there is no directory.
#[context("Reading a directory")]
pub fn has_entries(dir: Option<OwnedFd>) -> Result<Option<bool>> {
    let Some(dir) = dir else { return Ok(None) };
    for entry in Dir::read_from(&dir)? {
        if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
            return Ok(Some(true));
        }
    }
    Ok(Some(false))
}

/// Makes a directory with this mode, whatever the umask; one that is there stays as it is.
///
/// # Errors
///
/// It is not there and cannot be made.
pub fn make_dir(at: impl AsFd, path: &str, mode: u32) -> Result<()> {
    match durable::new_dir(at.as_fd(), path, Mode::from_raw_mode(mode)) {
        Ok(_) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("Creating directory {path}")),
    }
}

/// Reads a text file of a tree, `None` where there is none; links in the tree stay in it.
///
/// # Errors
///
/// The file is there and cannot be read.
pub fn read_text(tree: BorrowedFd<'_>, path: &str) -> Result<Option<String>> {
    prepare_root::open::read_text(tree, path, &Calls::ALL)
        .with_context(|| format!("Reading /{path} of the tree"))
}
