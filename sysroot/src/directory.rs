// SPDX-License-Identifier: MIT OR Apache-2.0
//! Opening directories of the physical root, and of trees that somebody else has made.

use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context, Result, bail};
use fn_error_context::context;
use rustix::fs::{Dir, Mode, OFlags};
use rustix::io::Errno;

const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Opens a directory that must be there.
pub(crate) fn open(at: impl AsFd, path: &str) -> Result<OwnedFd> {
    rustix::fs::openat(at, path, FLAGS, Mode::empty()).with_context(|| format!("Opening {path}"))
}

/// Opens a directory; `None` where there is nothing of this name.
pub(crate) fn find(at: impl AsFd, path: &str) -> Result<Option<OwnedFd>> {
    match rustix::fs::openat(at, path, FLAGS, Mode::empty()) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("Opening {path}")),
    }
}

/// As [`find`], for a name in a tree that somebody else has made: a link there could lead out of it.
pub(crate) fn find_in_tree(at: impl AsFd, name: &str) -> Result<Option<OwnedFd>> {
    match rustix::fs::openat(at, name, FLAGS | OFlags::NOFOLLOW, Mode::empty()) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::LOOP | Errno::NOTDIR) => {
            bail!("/{name} of the tree is no directory: a bootable tree has one there")
        }
        Err(error) => Err(error).with_context(|| format!("Opening {name} of the tree")),
    }
}

/// What is in a directory, in the kernel's order; a name that is not UTF-8 is none of ours.
#[context("Reading a directory")]
pub(crate) fn names(dir: impl AsFd) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_str().ok();
        names.extend(name.filter(|name| !matches!(*name, "." | "..")).map(str::to_owned));
    }
    Ok(names)
}

/// Whether there is something in a directory; `None` where there is no directory.
#[context("Reading a directory")]
pub(crate) fn has_entries(dir: Option<OwnedFd>) -> Result<Option<bool>> {
    let Some(dir) = dir else { return Ok(None) };
    for entry in Dir::read_from(&dir)? {
        if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
            return Ok(Some(true));
        }
    }
    Ok(Some(false))
}
