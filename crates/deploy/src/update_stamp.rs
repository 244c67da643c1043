// SPDX-License-Identifier: MIT OR Apache-2.0
//! The stamp by which systemd knows that `/etc` or `/var` is up to date with `/usr`.

use std::os::fd::BorrowedFd;

use anyhow::{Context, Result};
use rustix::fs::AtFlags;
use rustix::io::Errno;

/// The name of the stamp (`ConditionNeedsUpdate=`).
pub(crate) const UPDATED: &str = ".updated";

/// Removes the stamp in `dir`, so that at the next boot systemd does what updates ask for.
pub(crate) fn remove_update_stamp(dir: BorrowedFd<'_>) -> Result<()> {
    match rustix::fs::unlinkat(dir, UPDATED, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error).context("Removing .updated"),
    }
}
