// SPDX-License-Identifier: MIT OR Apache-2.0
//! The two-slot rule: a switch begins by proving the former one.
//!
//! There are two sets of entries, and the new ones are written where the last but one were. As long as a boot
//! loader may still read those (see [`durable::prove`]), they must not be touched. What brings them out of its
//! sight is a proof, or a reboot: mounting replays the journal. So a switch writes down under which boot it was
//! made before it commits, and removes the note when it is proven:
//!
//! ```text
//! /ostree/boot-switch         boot-id=3f6c…      of /proc/sys/kernel/random/boot_id
//!                             boot-version=1     the set that is going to be chosen
//! ```
//!
//! The C tools take no notice of this file. A note of another boot is out of date: the journal was replayed since.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Result};
use durable::{Method, Proof};
use rustix::fs::{AtFlags, CWD, Mode};
use rustix::io::Errno;

use crate::plan::Settings;
use crate::state::read::{kind, open_dir, read};
use crate::state::{BootState, Places};

/// The note's name below `/ostree`.
pub(crate) const RECORD: &str = "boot-switch";

/// What a switch writes down about itself.
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
    pub(crate) fn write(&self, root: BorrowedFd<'_>) -> Result<()> {
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

pub(crate) fn ostree(root: BorrowedFd<'_>) -> Result<OwnedFd> {
    open_dir(root, "ostree")?.context("There is no directory /ostree; run `ostree admin init-fs` first")
}

/// Whether a boot loader sees the entries that are chosen now, as far as that can be brought about.
///
/// To be asked before anything is written for a switch of entries, and when an update is staged: what cannot be
/// done at shutdown must be said before.
#[fn_error_context::context("Proving the former switch")]
pub fn prove_former(places: Places<'_>, state: &BootState, settings: &Settings) -> Result<Proof> {
    let proof = durable::prove(places.boot, settings.freezing)?;
    if proof.is_proven() {
        return Ok(proof);
    }
    let this_boot = match &state.record {
        // A note about the link that is there now.
        Some(record) if record.boot_version == state.boot_version() => record.is_of_this_boot(),
        // None, or one about a switch that did not come to its commit, or that was followed by the C tools' own.
        _ => !settings.offline && switched_since_start(places)?,
    };
    Ok(if this_boot { proof } else { Proof::Proven(Method::Replay) })
}

/// Whether `/boot/loader` was made after the machine was started, by the clocks.
fn switched_since_start(places: Places<'_>) -> Result<bool> {
    let link = match rustix::fs::statat(places.boot, "loader", AtFlags::SYMLINK_NOFOLLOW) {
        Ok(link) => link,
        Err(Errno::NOENT) => return Ok(false),
        Err(err) => return Err(err).context("Looking at /boot/loader"),
    };
    use rustix::time::{ClockId, clock_gettime};
    let started = clock_gettime(ClockId::Realtime).tv_sec - clock_gettime(ClockId::Boottime).tv_sec;
    Ok(i128::from(link.st_ctime) >= i128::from(started))
}

/// This boot's name; empty where it cannot be read.
fn boot_id() -> String {
    let id = read(CWD, "/proc/sys/kernel/random/boot_id").unwrap_or_default();
    String::from_utf8_lossy(&id).trim().to_owned()
}
