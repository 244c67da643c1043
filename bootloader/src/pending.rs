// SPDX-License-Identifier: MIT OR Apache-2.0
//! The stamp that keeps the work after a commit from being forgotten.
//!
//! ```text
//! /boot/ostree-bootloader-update.stamp     written before the commit, removed when the boot loader is up to date
//! ```
//!
//! While it is there, the boot loader may still boot from the old set: nothing of that is removed, and no other set is written. The
//! C tools have the same stamp for the same purpose, and leave it behind when their tool fails.

use std::os::fd::BorrowedFd;

use anyhow::{Context, Result};
use rustix::fs::AtFlags;
use rustix::io::Errno;

use crate::dirs::{FILE_MODE, read_text};
use crate::loader::AfterSwitch;
use crate::names::STAMP;
use crate::places::Places;
use crate::record::boot_id;

/// Before the name of the boot under which the stamp was written.
const BOOT_ID: &str = "boot-id=";

/// Work that is left after a switch that has been made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pending {
    /// Why it is not done.
    pub(crate) reason: String,
}

/// Why the boot loader may still boot from the entries before the last switch; `None` once it has been brought up to date.
pub fn unfinished(places: Places<'_>) -> Result<Option<String>> {
    Ok(Pending::of(places)?.map(|pending| pending.reason))
}

impl Pending {
    /// Reads the stamp, if it is there.
    pub(crate) fn of(places: Places<'_>) -> Result<Option<Self>> {
        let text = read_text(places.boot, STAMP)?;
        let reason = |text: String| match text.lines().next() {
            Some(line) if !line.is_empty() => line.to_owned(),
            // The C tools write none.
            _ => "the switch was interrupted".to_owned(),
        };
        Ok(text.map(|text| Self { reason: reason(text) }))
    }

    pub(crate) fn write(boot: BorrowedFd<'_>, reason: &str) -> Result<()> {
        let text = format!("{}\n{BOOT_ID}{}\n", reason.replace('\n', " "), boot_id());
        durable::replace(boot, STAMP, text.as_bytes(), FILE_MODE)
    }

    /// Whether the stamp says that it was written before the machine was started: what had been written by then was replayed.
    pub(crate) fn is_of_previous_boot(boot: BorrowedFd<'_>) -> Result<bool> {
        let text = read_text(boot, STAMP)?.unwrap_or_default();
        let id = text.lines().find_map(|line| line.strip_prefix(BOOT_ID)).unwrap_or_default();
        let now = boot_id();
        Ok(!id.is_empty() && !now.is_empty() && id != now)
    }

    /// Removes the stamp of a switch that did not come to its commit; there was none before it, or it would not have begun.
    pub(crate) fn forget(after: &AfterSwitch, places: Places<'_>) -> Result<()> {
        if *after == AfterSwitch::Nothing { Ok(()) } else { remove(places.boot) }
    }
}

/// Removes the stamp: the boot loader is up to date.
pub(crate) fn remove(boot: BorrowedFd<'_>) -> Result<()> {
    match rustix::fs::unlinkat(boot, STAMP, AtFlags::empty()) {
        Ok(()) => durable::sync_dir(boot),
        Err(Errno::NOENT) => Ok(()),
        Err(err) => Err(err).with_context(|| format!("Removing /boot/{STAMP}")),
    }
}
