// SPDX-License-Identifier: MIT OR Apache-2.0
//! The stamp that tells the next boot why a finalization has failed; see [`sysroot::finalize_failure`].

use std::os::fd::AsFd;

use anyhow::{Context, Result};
use fn_error_context::context;
use rustix::fs::{AtFlags, CWD, Mode};
use rustix::io::Errno;
use sysroot::Sysroot;
use sysroot::directory::{self, make_dir};
use sysroot::finalize_failure::{DIR, STAMP, TOLD};

/// Keeps the reason for the status of this boot.
#[context("Writing {DIR}/{TOLD}")]
pub fn keep_finalize_failure(reason: &str) -> Result<()> {
    make_dir(CWD, DIR, 0o755)?;
    let dir = directory::find(CWD, DIR)?.context("It is gone again")?;
    durable::replace(dir.as_fd(), TOLD, reason.as_bytes(), Mode::from_raw_mode(0o644))
}

/// It was told.
pub fn forget_finalize_failure(sysroot: &Sysroot) -> Result<()> {
    remove_stamp(sysroot)
}

#[context("Writing /boot/ostree/{STAMP}")]
pub(crate) fn write_stamp(sysroot: &Sysroot, text: &str) -> Result<()> {
    make_dir(sysroot.places().boot, "ostree", 0o755)?;
    let dir = sysroot.finalize_stamp_dir()?.context("It is gone again")?;
    durable::replace(dir.as_fd(), STAMP, text.as_bytes(), Mode::from_raw_mode(0o644))
}

#[context("Removing /boot/ostree/{STAMP}")]
pub(crate) fn remove_stamp(sysroot: &Sysroot) -> Result<()> {
    let Some(dir) = sysroot.finalize_stamp_dir()? else { return Ok(()) };
    match rustix::fs::unlinkat(&dir, STAMP, AtFlags::empty()) {
        Ok(()) => durable::sync_dir(dir.as_fd()),
        Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
