// SPDX-License-Identifier: MIT OR Apache-2.0
//! Directories that were made under temporary names and never finished.

use std::os::fd::BorrowedFd;

use anyhow::Result;
use sysroot::directory;

/// Lists the names in `dir` that an interruption has left of directories made under temporary names.
pub(crate) fn unfinished(dir: BorrowedFd<'_>) -> Result<Vec<String>> {
    let names = directory::names(dir)?.into_iter();
    Ok(names.filter(|name| durable::is_temporary(name)).collect())
}

/// Removes what [`unfinished`] lists. The caller holds the lock of the sysroot, under which such directories are made.
pub(crate) fn remove_unfinished(dir: BorrowedFd<'_>) -> Result<()> {
    for name in unfinished(dir)? {
        durable::remove_tree(dir, &name)?;
    }
    Ok(())
}
