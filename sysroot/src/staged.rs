// SPDX-License-Identifier: MIT OR Apache-2.0
//! The record of the staged deployment in `/run/ostree`, as the C tools have it.
//!
//! It is volatile on purpose: what it says is true for the running system only. What outlives a power cut is in
//! [`crate::kept`].

use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context, Result};
use durable::fault;
use fn_error_context::context;
use formats::bls::Entry;
use formats::staged::Staged;
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::deployment::Deployment;
use crate::directory;
use crate::init::make_dir;
use crate::lock::Lock;
use crate::sysroot::Sysroot;

/// Where it is.
const DIR: &str = "/run/ostree";

/// The record, with its directory.
pub(crate) const PATH: &str = "/run/ostree/staged-deployment";

/// The record.
const RECORD: &str = "staged-deployment";

/// While this is there the deployment stays staged at shutdown. It is older than the key in the record, and can be
/// made before there is a record.
const LOCKED: &str = "staged-deployment-locked";

/// Whether there is a record of a staged deployment, whatever it says.
#[context("Looking for {DIR}/{RECORD}")]
pub fn is_anything_staged() -> Result<bool> {
    match rustix::fs::statat(CWD, format!("{DIR}/{RECORD}"), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Reads the record.
#[context("Reading {DIR}/{RECORD}")]
pub(crate) fn read() -> Result<Option<Staged>> {
    let Some(dir) = directory::find(CWD, DIR)? else { return Ok(None) };
    let file = match rustix::fs::openat(&dir, RECORD, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut std::fs::File::from(file), &mut bytes)?;
    let mut staged = Staged::parse(&bytes)?;
    staged.locked |= rustix::fs::statat(&dir, LOCKED, AtFlags::SYMLINK_NOFOLLOW).is_ok();
    Ok(Some(staged))
}

/// Writes the record, in place of another one.
#[context("Writing {DIR}/{RECORD}")]
pub(crate) fn write(staged: &Staged) -> Result<()> {
    make_dir(CWD, DIR, 0o755)?;
    let dir = directory::find(CWD, DIR)?.context("It is gone again")?;
    if staged.locked {
        // First: nobody may see the record without its lock.
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        rustix::fs::openat(&dir, LOCKED, flags, Mode::from_raw_mode(0o640)).context("Creating its lock")?;
    }
    durable::replace(dir.as_fd(), RECORD, &staged.to_bytes(), Mode::from_raw_mode(0o644))?;
    fault::point("staged");
    if staged.locked { Ok(()) } else { unlink(&dir, LOCKED) }
}

/// Removes the record, and its lock after it.
#[context("Removing {DIR}/{RECORD}")]
pub(crate) fn remove() -> Result<()> {
    let Some(dir) = directory::find(CWD, DIR)? else { return Ok(()) };
    unlink(&dir, RECORD)?;
    fault::point("unstage");
    unlink(&dir, LOCKED)
}

/// The boot entry that it would have now, as far as it can be known: its kernel arguments.
pub(crate) fn entry(staged: &Staged, deployments: &[Deployment]) -> Entry {
    let options = match (&staged.kernel_args, &staged.merge) {
        (Some(args), _) => args.join(" "),
        (None, Some(merge)) => {
            let merge = deployments.iter().find(|d| d.path == merge.path);
            merge.map(|d| d.entry.options()).unwrap_or_default()
        }
        (None, None) => String::new(),
    };
    let mut entry = Entry::default();
    entry.push("options", &options);
    entry
}

impl Sysroot {
    /// Keeps the staged deployment staged at shutdown, or no longer. `None` where nothing is staged, else whether
    /// that changed anything.
    pub fn lock_finalization(&self, _lock: &Lock, locked: bool) -> Result<Option<bool>> {
        let loaded = self.load()?;
        let Some(record) = loaded.staged.clone() else { return Ok(None) };
        if record.locked == locked {
            return Ok(Some(false));
        }
        self.write_staged(&Staged { locked, ..record }, loaded.menu())?;
        Ok(Some(true))
    }
}

fn unlink(dir: &OwnedFd, name: &str) -> Result<()> {
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("Removing {name}")),
    }
}
