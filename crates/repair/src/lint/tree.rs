// SPDX-License-Identifier: MIT OR Apache-2.0
//! Looking at names of a tree that may be anything, without following links out of it.

use std::os::fd::{BorrowedFd, OwnedFd};

use anyhow::{Context, Result};
use rustix::fs::FileType;

/// Opens a directory; `None` where there is none, or a link to one.
pub(super) fn open_dir(tree: BorrowedFd<'_>, path: &str) -> Result<Option<OwnedFd>> {
    durable::find_dir(tree, path).with_context(|| format!("Opening {path}"))
}

/// Gives the type of a file, of a link that of the link itself.
pub(super) fn kind(tree: BorrowedFd<'_>, path: &str) -> Option<FileType> {
    durable::kind_of(tree, path).ok().flatten()
}

/// Gives the target of a link.
pub(super) fn link(tree: BorrowedFd<'_>, name: &str) -> Option<String> {
    let target = rustix::fs::readlinkat(tree, name, Vec::new()).ok()?;
    Some(target.to_string_lossy().into_owned())
}
