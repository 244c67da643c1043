// SPDX-License-Identifier: MIT OR Apache-2.0
//! The immutable flag of deployments.

use std::os::fd::BorrowedFd;

use anyhow::{Context, Result};
use rustix::fs::IFlags;
use sysroot::Sysroot;

/// Makes the root directory of a whole deployment immutable, unless the options say that deployments stay mutable.
///
/// # Errors
///
/// The file system has such flags and refuses this one.
pub fn seal(sysroot: &Sysroot, tree: BorrowedFd<'_>) -> Result<()> {
    if sysroot.options().mutable_deployments { Ok(()) } else { set_immutable(tree, true) }
}

/// Sets or clears the immutable flag of a deployment's root directory, so that nothing is put there by mistake.
/// A file system without such flags goes without.
///
/// # Errors
///
/// The file system has such flags and refuses this one.
pub fn set_immutable(dir: BorrowedFd<'_>, on: bool) -> Result<()> {
    let Ok(flags) = rustix::fs::ioctl_getflags(dir) else { return Ok(()) };
    let mut wanted = flags;
    wanted.set(IFlags::IMMUTABLE, on);
    if wanted == flags {
        return Ok(());
    }
    rustix::fs::ioctl_setflags(dir, wanted).context("Setting the immutable flag")
}
