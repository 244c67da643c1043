// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writing the records of the staged deployment: in `/run` for this boot, and on the disk for after a power cut.

pub(crate) mod persistent;

use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context, Result};
use durable::fault;
use fn_error_context::context;
use formats::bootlink::DeploymentPath;
use formats::staged::{Kept, Staged};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use sysroot::directory::{self, make_dir};
use sysroot::staged::{DIR, LOCKED, RECORD};
use sysroot::{Lock, Sysroot};

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

/// Stages a deployment: the record is written, and kept on the disk.
pub(crate) fn write_staged(sysroot: &Sysroot, staged: &Staged, menu: Vec<DeploymentPath>) -> Result<()> {
    write(staged)?;
    persistent::set_time(sysroot)?;
    persistent::keep(
        sysroot,
        &Kept { staged: staged.clone(), attempts: 0, changed: sysroot.changed_at()?, deployments: menu },
    )
}

/// The deployment is not staged any more.
pub(crate) fn remove_staged(sysroot: &Sysroot) -> Result<()> {
    let removed = remove();
    persistent::forget_kept(sysroot)?;
    removed
}

/// Keeps the staged deployment staged at shutdown, or no longer. `None` where nothing is staged, else whether
/// that changed anything.
pub fn lock_finalization(lock: &Lock<'_>, locked: bool) -> Result<Option<bool>> {
    let sysroot = lock.sysroot();
    let loaded = sysroot.load()?;
    let Some(record) = loaded.staged.clone() else { return Ok(None) };
    if record.locked == locked {
        return Ok(Some(false));
    }
    write_staged(sysroot, &Staged { locked, ..record }, loaded.menu())?;
    Ok(Some(true))
}

fn unlink(dir: &OwnedFd, name: &str) -> Result<()> {
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("Removing {name}")),
    }
}
