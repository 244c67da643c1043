// SPDX-License-Identifier: MIT OR Apache-2.0
//! The note that a switch leaves until it is proven.
//!
//! ```text
//! /ostree/boot-switch         boot-id=3f6c…      of /proc/sys/kernel/random/boot_id
//!                             boot-version=1     the set that is going to be chosen
//! ```
//!
//! The C tools take no notice of this file. A note of another boot is out of date: the journal was replayed since.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Result};
use rustix::fs::{AtFlags, CWD, Mode};
use rustix::io::Errno;

use crate::dirs::{kind, ostree, read};
use crate::names::RECORD;

/// The record that a switch writes about itself.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Record {
    /// The boot under which it was made; empty where there is no `/proc`.
    pub boot_id: String,
    /// The set of entries that it chooses.
    pub boot_version: u8,
}

impl Record {
    /// For a switch that is made now.
    pub fn new(boot_version: u8) -> Self {
        Self { boot_id: boot_id(), boot_version }
    }

    /// Whether it was made since the machine was started. Where that cannot be told it was.
    pub fn is_of_this_boot(&self) -> bool {
        let now = boot_id();
        now.is_empty() || self.boot_id.is_empty() || now == self.boot_id
    }

    /// Reads the note in `/ostree`. One that makes no sense counts as one of this boot.
    pub(crate) fn read(ostree: &OwnedFd) -> Result<Option<Self>> {
        if kind(ostree, RECORD)?.is_none() {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&read(ostree, RECORD)?).into_owned();
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        let boot_version = value("boot-version").and_then(|v| v.parse().ok()).unwrap_or(0);
        Ok(Some(Self { boot_id: value("boot-id").unwrap_or_default().to_owned(), boot_version }))
    }

    /// Writes it durably: it must be there before the switch can be.
    pub fn write(&self, root: BorrowedFd<'_>) -> Result<()> {
        let text = format!("boot-id={}\nboot-version={}\n", self.boot_id, self.boot_version);
        durable::replace(ostree(root)?.as_fd(), RECORD, text.as_bytes(), Mode::from_raw_mode(0o644))
    }

    /// Removes it. Not durably: one that comes back only makes the next switch prove once more.
    pub(crate) fn remove(root: BorrowedFd<'_>) -> Result<()> {
        match rustix::fs::unlinkat(ostree(root)?, RECORD, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(err) => Err(err).context("Removing ostree/boot-switch"),
        }
    }
}

/// This boot's name; empty where it cannot be read.
pub(crate) fn boot_id() -> String {
    let id = read(CWD, "/proc/sys/kernel/random/boot_id").unwrap_or_default();
    String::from_utf8_lossy(&id).trim().to_owned()
}
