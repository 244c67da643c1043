// SPDX-License-Identifier: MIT OR Apache-2.0
//! The policy of a deployment, compiled again with the local additions, and the record of a failure.
//!
//! By default a failure is no reason to give up the update, since every update after it would fail as well: the policy that
//! the update has brought is loaded without the additions, and `admin status` says so. With `[sysroot]
//! selinux-refresh=required` there is no such deployment.

use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, Result};
use etc_merge::Changes;
use fn_error_context::context;
use formats::bootlink::DeploymentPath;
use rustix::fs::{AtFlags, Mode};
use rustix::io::Errno;
use sysroot::backing::path_of;
use sysroot::policy_refresh::RECORD;
use sysroot::{Sysroot, directory};

use crate::{backing, journal};

/// Compiles the policy of a deployment again if its `/etc` has additions to it. A failure is an error if the configuration wants
/// it so; else it is written down, and given.
pub(crate) fn refresh(
    sysroot: &Sysroot,
    path: &DeploymentPath,
    tree: BorrowedFd<'_>,
) -> Result<Option<String>> {
    let refreshed =
        selinux::refresh(tree, |defaults, current| Ok(!Changes::between(defaults, current)?.list.is_empty()));
    let Err(error) = refreshed else {
        forget(sysroot, path)?;
        return Ok(None);
    };
    if sysroot.boot_config()?.selinux_refresh_required {
        return Err(error.context("[sysroot] selinux-refresh=required"));
    }
    let why = format!("{error:#}");
    journal::policy_not_refreshed(path, &why);
    // The update is not given up for want of a note.
    write_down(sysroot, path, &why).unwrap_or_else(|error| log::warn!("{error:#}"));
    Ok(Some(why))
}

#[context("Writing down that the SELinux policy is not compiled again")]
fn write_down(sysroot: &Sysroot, path: &DeploymentPath, why: &str) -> Result<()> {
    backing::create(sysroot, path)?;
    let dir = directory::open(sysroot.root(), &path_of(path))?;
    durable::replace(dir.as_fd(), RECORD, why.as_bytes(), Mode::from_raw_mode(0o600))
}

fn forget(sysroot: &Sysroot, path: &DeploymentPath) -> Result<()> {
    let name = format!("{}/{RECORD}", path_of(path));
    match rustix::fs::unlinkat(sysroot.root(), name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error).context("Removing the note on an earlier attempt"),
    }
}
