// SPDX-License-Identifier: MIT OR Apache-2.0
//! Removing what lies in a directory: a name, and all below it however deep that is.

use std::ffi::CString;
use std::os::fd::BorrowedFd;

use anyhow::{Context as _, Result};
use rustix::fs::{AtFlags, FileType, unlinkat};

/// Removes a tree, or says what is still there. No link is followed, and no other mount entered.
pub(crate) fn remove_whole(dir: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
    durable::remove_named(dir, &CString::new(name)?)?.require_complete()
}

/// Removes a name of an open directory, and all below it.
pub(crate) fn remove(dir: BorrowedFd<'_>, name: &[u8], kind: FileType) -> Result<()> {
    let removed = match kind {
        FileType::Directory => remove_whole(dir, name),
        _ => unlinkat(dir, name, AtFlags::empty()).map_err(Into::into),
    };
    removed.with_context(|| format!("Removing {}", String::from_utf8_lossy(name)))
}
