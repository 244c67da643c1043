// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changes of a deployment's origin file, which need no switch.

use anyhow::{Context, Result, ensure};
use fn_error_context::context;
use formats::bootlink::DeploymentPath;
use rustix::fs::{Mode, OFlags};
use sysroot::{Deployment, Lock, Origin, Sysroot, reserve};

use crate::staged::persistent;

/// Gives the origin of a deployment, pinned or not; `None` where it is so already.
pub(crate) fn with_pin(deployment: &Deployment, on: bool) -> Result<Option<Origin>> {
    let origin = deployment.known_origin()?;
    if origin.pinned() == on {
        return Ok(None);
    }
    ensure!(!deployment.staged, "Cannot pin staged deployment: pin it once it is booted");
    Ok(Some(origin.clone().with_pin(on)))
}

/// Pins or unpins a deployment; says whether that changed anything. The rest of its origin stays as it is now, under the lock.
pub fn pin(lock: &Lock<'_>, path: &DeploymentPath, on: bool) -> Result<bool> {
    let sysroot = lock.sysroot();
    let loaded = sysroot.load_lenient()?;
    let found = loaded.deployments.iter().find(|d| d.path == *path);
    let found = found.with_context(|| format!("Pinning {path}: there is no such deployment any more"));
    // Or its entry cannot be read now.
    match with_pin(loaded.or_unread(found)?, on)? {
        Some(origin) => set_origin(lock, path, &origin).map(|()| true),
        None => Ok(false),
    }
}

/// Replaces a deployment's origin.
pub fn set_origin(lock: &Lock<'_>, path: &DeploymentPath, origin: &Origin) -> Result<()> {
    let sysroot = lock.sysroot();
    // A pin is what keeps a deployment when a full disk is cleaned up.
    reserve::release(sysroot.places());
    write_origin(sysroot, path, origin)?;
    persistent::touch(sysroot)
}

/// Writes the file of a deployment's origin, and tells nobody.
///
/// # Errors
///
/// The file cannot be written.
#[context("Writing the origin of {path}")]
pub fn write_origin(sysroot: &Sysroot, path: &DeploymentPath, origin: &Origin) -> Result<()> {
    let parent = format!("ostree/deploy/{}/deploy", path.stateroot);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = rustix::fs::openat(sysroot.root(), parent, flags, Mode::empty())?;
    let name = format!("{}.origin", path.name());
    let mode = Mode::from_raw_mode(0o644);
    durable::replace(std::os::fd::AsFd::as_fd(&dir), &name, origin.0.to_string().as_bytes(), mode)
}
