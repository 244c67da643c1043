// SPDX-License-Identifier: MIT OR Apache-2.0
//! Makes the mounts of a plan.
//!
//! The new root is put together at [`STAGING`]. Only when all of it is there is the physical root taken off its
//! mount point and the new root put there, by two calls. Whatever fails before leaves the physical root where it
//! was, for whoever looks at the machine from the initramfs.
//!
//! The physical root is cloned into the new root and the original detached, where moving it would be one call:
//! the new root's mounts were taken from it, and moved below them it would stand in a circle that cannot be
//! unmounted at shutdown (ostree#3513).

mod bind;
mod run;

pub use bind::named_again;

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};

use crate::calls::Calls;
use crate::plan::{Access, Mount, MountPlan, Source};
use crate::resolve::Target;

/// Where the new root is put together: out of the way of everything that does not run as root.
pub const STAGING: &str = "/run/ostree/.private/newroot";

/// Which step failed.
#[derive(Debug, PartialEq, Eq)]
pub struct ApplyError {
    /// The step that failed, as "mounting /usr".
    pub step: String,
    /// The kernel's error.
    pub errno: Errno,
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.errno)
    }
}

impl std::error::Error for ApplyError {}

/// Adds the step to an errno.
fn doing(step: impl Into<String>) -> impl FnOnce(Errno) -> ApplyError {
    move |errno| ApplyError { step: step.into(), errno }
}

/// The places between which a plan is applied.
struct Places<'a> {
    /// Absolute path of the physical root.
    sysroot: &'a Path,
    /// The same, held open.
    sysroot_fd: BorrowedFd<'a>,
    /// The deployment's directory.
    deployment: BorrowedFd<'a>,
}

/// Mounts what `plan` says and leaves the new root at `sysroot`, an absolute path that is a mount point.
///
/// # Errors
///
/// Names the step. The physical root is still at `sysroot` then, and `/run/ostree-booted` does not exist.
pub fn apply(
    plan: &MountPlan,
    sysroot: &Path,
    sysroot_fd: BorrowedFd<'_>,
    target: &Target,
    calls: &Calls,
) -> Result<(), ApplyError> {
    run::make_directories().map_err(doing("creating /run/ostree"))?;
    // A mount cannot be moved where it would have to appear in other namespaces as well.
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(doing("making the mounts of the initramfs private"))?;
    make_staging().map_err(doing(format!("creating {STAGING}")))?;

    let places = Places { sysroot, sysroot_fd, deployment: target.directory.as_fd() };
    let done = assemble(plan, &places, calls).and_then(|()| {
        let state = plan.run_state().to_bytes();
        run::write_state(&state).map_err(doing(format!("writing {}", run::STATE)))?;
        switch(sysroot, calls).inspect_err(|_| run::remove_state())
    });
    if done.is_err() {
        // The first error is the one to tell.
        let _ = rustix::mount::unmount(STAGING, UnmountFlags::DETACH);
    }
    let _ = rustix::fs::rmdir(STAGING);
    done
}

fn make_staging() -> Result<(), Errno> {
    match rustix::fs::mkdir(STAGING, Mode::from_raw_mode(0o700)) {
        // Left by a run that was interrupted.
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Mounts everything below [`STAGING`].
fn assemble(plan: &MountPlan, places: &Places<'_>, calls: &Calls) -> Result<(), ApplyError> {
    for mount in &plan.mounts {
        let at =
            if mount.at.is_empty() { PathBuf::from(STAGING) } else { Path::new(STAGING).join(&mount.at) };
        let made = match &mount.source {
            Source::PhysicalRoot => bind::bind(&places.physical(""), &at, mount, calls),
            Source::Directory(path) => bind::bind(&places.physical(path), &at, mount, calls),
            Source::HotfixOverlay => mount_hotfix(places.deployment, &at, mount),
        };
        made.map_err(doing(format!("mounting {mount}")))?;
    }
    Ok(())
}

impl Places<'_> {
    fn physical<'s>(&'s self, path: &'s str) -> bind::From<'s> {
        bind::From { root: self.sysroot_fd, root_path: self.sysroot, path }
    }
}

/// Lays the overlay of a hotfix over `/usr`. The directories are named relative to the deployment: the kernel
/// splits the options at commas and colons, which a stateroot's name may have.
fn mount_hotfix(deployment: BorrowedFd<'_>, at: &Path, mount: &Mount) -> Result<(), Errno> {
    rustix::process::fchdir(deployment)?;
    // The kernel takes no upper directory that cannot be written to; below nothing it shows the same files.
    let (flags, options) = match mount.access {
        Access::ReadOnly => (MountFlags::RDONLY, c"lowerdir=.usr-ovl-upper:usr"),
        _ => (MountFlags::empty(), c"lowerdir=usr,upperdir=.usr-ovl-upper,workdir=.usr-ovl-work"),
    };
    let mounted = rustix::mount::mount("overlay", at, "overlay", flags | MountFlags::SILENT, options);
    // Leaves the deployment: a working directory would keep the detached mount alive.
    rustix::process::chdir("/").and(mounted)
}

/// Takes the physical root off `sysroot` and puts the new root there.
fn switch(sysroot: &Path, calls: &Calls) -> Result<(), ApplyError> {
    let detached = rustix::mount::unmount(sysroot, UnmountFlags::DETACH);
    if detached == Err(Errno::INVAL) {
        let step = format!("{} is not a mount point; mount the physical root there", sysroot.display());
        return Err(ApplyError { step, errno: Errno::INVAL });
    }
    detached.map_err(doing(format!("detaching the physical root from {}", sysroot.display())))?;
    bind::move_to(Path::new(STAGING), sysroot, calls)
        .map_err(doing(format!("moving the new root to {}", sysroot.display())))
}
