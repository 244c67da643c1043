// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writing the record of a staged deployment where a power cut does not reach it; see [`sysroot::staged::persistent`].

use std::os::fd::AsFd;

use anyhow::{Context, Result};
use durable::fault;
use fn_error_context::context;
use formats::bootlink::DeploymentPath;
use formats::staged::{Kept, Staged};
use rustix::fs::{AtFlags, Mode, Timestamps};
use rustix::io::Errno;
use sysroot::staged::persistent::{NAME, PATH};
use sysroot::{Sysroot, directory};

/// Tells other programs that the deployments have changed; a recorded staged deployment stays current.
///
/// # Errors
///
/// `ostree/deploy` cannot be touched, or a record that is not current any more cannot be removed.
pub fn touch(sysroot: &Sysroot) -> Result<()> {
    touch_staged(sysroot, None)
}

/// Sets the time of `ostree/deploy`, which other programs watch.
pub(crate) fn set_time(sysroot: &Sysroot) -> Result<()> {
    let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
    let times = Timestamps { last_access: now, last_modification: now };
    rustix::fs::utimensat(sysroot.root(), "ostree/deploy", &times, AtFlags::empty())
        .context("Touching ostree/deploy")
}

/// Counts an attempt to finalize it. Without room for that the attempt is made all the same.
pub(crate) fn count_attempt(sysroot: &Sysroot, staged: &Staged) {
    let counted = sysroot.persistent_record().and_then(|kept| match kept {
        Some(kept) if kept.staged.target == staged.target => {
            keep(sysroot, &Kept { attempts: kept.attempts.saturating_add(1), ..kept })
        }
        _ => Ok(()),
    });
    if let Err(error) = counted {
        log::warn!("{error:#}");
    }
}

/// It is finished, or not wanted any more.
#[context("Removing {PATH}")]
pub(crate) fn forget_kept(sysroot: &Sysroot) -> Result<()> {
    let ostree = sysroot.ostree()?;
    match rustix::fs::unlinkat(&ostree, NAME, AtFlags::empty()) {
        Ok(()) => durable::sync_dir(ostree.as_fd()),
        Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Tells other programs that the deployments have changed, and that what is kept is still true. `menu` is the new boot
/// menu, if there is one.
pub(crate) fn touch_staged(sysroot: &Sysroot, menu: Option<Vec<DeploymentPath>>) -> Result<()> {
    let before = sysroot.changed_at()?;
    let kept = sysroot.persistent_record().unwrap_or_default().filter(|kept| kept.changed == before);
    set_time(sysroot)?;
    let Some(kept) = kept else { return Ok(()) };
    let deployments = menu.unwrap_or_else(|| kept.deployments.clone());
    let written = keep(sysroot, &Kept { changed: sysroot.changed_at()?, deployments, ..kept });
    if let Err(error) = written {
        log::warn!("{error:#}; a power cut would make the system forget what is staged");
        forget_kept(sysroot)?;
    }
    Ok(())
}

#[context("Writing {PATH}")]
pub(super) fn keep(sysroot: &Sysroot, kept: &Kept) -> Result<()> {
    let ostree = sysroot.ostree()?;
    // The time that it speaks of must not be older than it after a cut.
    durable::sync_dir(directory::open(&ostree, "deploy")?.as_fd())?;
    durable::replace(ostree.as_fd(), NAME, &kept.to_bytes(), Mode::from_raw_mode(0o644))?;
    fault::point("kept");
    Ok(())
}
