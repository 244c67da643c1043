// SPDX-License-Identifier: MIT OR Apache-2.0
//! Overlays that keep the state of a directory of the image, such as `/opt`: what is added there stays over updates, what the
//! update brings itself takes the place of what was changed before.
//!
//! ```text
//! /var/ostree/state-overlays/NAME/upper    changes; its attribute user.ostree.deploymentcsum names the commit they are over
//! /var/ostree/state-overlays/NAME/work
//! ```

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use durable::{Descent, Mounts, kind_of, names, shown};
use fn_error_context::context;
use rustix::fs::{CWD, FileType, XattrFlags};
use rustix::io::Errno;
use rustix::mount::MountFlags;
use sysroot::directory::{self, make_dir};
use sysroot::{Sysroot, Which};

/// Where overlays keep what was changed.
const PLACE: &str = "/var/ostree/state-overlays";

/// The commit that `upper` was last laid over.
const COMMIT: &CStr = c"user.ostree.deploymentcsum";

/// Says `y` on a directory that hides what is below it.
const OPAQUE: &CStr = c"trusted.overlay.opaque";

/// Lays the overlay `name` over the directory `at` of the running system.
#[context("Laying the state overlay {name} over {}", at.display())]
pub fn mount_state_overlay(sysroot: &Sysroot, name: &str, at: &Path) -> Result<()> {
    ensure!(
        !matches!(name, "" | "." | "..") && !name.contains(['/', ',', ':']),
        "The name of an overlay is one word without / , and :"
    );
    let lower_path =
        at.to_str().filter(|path| !path.contains([',', ':'])).context("The path has , or : in it")?;
    let loaded = sysroot.load()?;
    let booted = loaded.find(Which::Booted).and_then(|index| loaded.deployments.get(index));
    let commit = booted.context("Not currently booted into an OSTree system")?.path.checksum.to_string();
    let lower = directory::open(CWD, lower_path)?;
    for dir in ["/var/ostree", PLACE] {
        make_dir(CWD, dir, 0o755)?;
    }
    let dir = format!("{PLACE}/{name}");
    make_dir(CWD, &dir, 0o700)?;
    make_dir(CWD, &format!("{dir}/work"), 0o700)?;
    // It shows as the directory itself.
    make_dir(CWD, &format!("{dir}/upper"), rustix::fs::fstat(&lower)?.st_mode & 0o7777)?;
    let upper = directory::open(CWD, &format!("{dir}/upper"))?;
    if attribute(&upper, COMMIT)?.as_deref() != Some(commit.as_bytes()) {
        prune(lower.as_fd(), upper.as_fd()).context("Removing what the update brings itself")?;
        // Removals are durable before the commit is noted.
        durable::sync_fs(&upper)?;
        rustix::fs::fsetxattr(&upper, COMMIT, commit.as_bytes(), XattrFlags::empty())
            .context("Noting the commit")?;
    }
    let options = format!("lowerdir={lower_path},upperdir={dir}/upper,workdir={dir}/work");
    let options = std::ffi::CString::new(options)?;
    rustix::mount::mount("overlay", at, "overlay", MountFlags::SILENT, options.as_c_str())
        .context("Mounting the overlay")
}

/// Removes from `upper` what shadows something in `lower`; what is in `upper` alone stays. So do directories, unless they
/// hide what is below them.
fn prune(lower: BorrowedFd<'_>, upper: BorrowedFd<'_>) -> Result<()> {
    let mut lower = Descent::new(lower, Mounts::Enter).context("Opening the tree")?;
    let mut upper = Descent::new(upper, Mounts::Enter).context("Opening the overlay's own directory")?;
    let mut levels = vec![names(upper.here()).context("Listing the overlay's own directory")?];
    while let Some(level) = levels.last_mut() {
        let Some(name) = level.pop() else {
            levels.pop();
            if upper.leave().is_none() {
                break;
            }
            lower.leave();
            ensure!(
                upper.depth() == lower.depth() && upper.depth() + 1 == levels.len(),
                "Directories are moved in it"
            );
            continue;
        };
        if let Some(inside) = prune_entry(&mut lower, &mut upper, &name)
            .with_context(|| format!("In {}", shown(&upper.path_of(&name)).display()))?
        {
            levels.push(inside);
        }
    }
    Ok(())
}

/// Removes an entry of `upper` that shadows one in `lower`; or enters both, and gives what is in the upper one.
fn prune_entry(lower: &mut Descent, upper: &mut Descent, name: &CStr) -> Result<Option<Vec<CString>>> {
    let Some(below) = kind_of(lower.here(), name)? else { return Ok(None) };
    if (below, kind_of(upper.here(), name)?) == (FileType::Directory, Some(FileType::Directory)) {
        upper.enter(name)?;
        if attribute(upper.here(), OPAQUE)?.as_deref() != Some(b"y") {
            lower.enter(name)?;
            return Ok(Some(names(upper.here())?));
        }
        upper.leave();
    }
    let removed = durable::remove_named(upper.here(), name)?;
    ensure!(removed.is_complete(), "It could not be removed");
    Ok(None)
}

/// An attribute of at most the length of a checksum; a longer one is none that was meant.
fn attribute(file: impl AsFd, name: &CStr) -> Result<Option<Vec<u8>>> {
    let mut value = [0; 64];
    match rustix::fs::fgetxattr(file, name, &mut value) {
        Ok(length) => Ok(value.get(..length).map(<[u8]>::to_vec)),
        Err(Errno::NODATA | Errno::RANGE) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("Reading {name:?}")),
    }
}
