// SPDX-License-Identifier: MIT OR Apache-2.0
//! A mount namespace of our own, in which the running system's `/sysroot` and `/boot` can be written to.
//!
//! Both may be read-only, so that nothing is written there by mistake. They are made writable where only we see it,
//! and what had to be changed for all (a file system that is itself read-only) is put back in the end.
//!
//! The namespace follows the system's: `/boot` may be an automount, which the system mounts when we look. A `/boot`
//! that `fstab(5)` knows and that is not mounted is mounted for us alone.
//!
//! The guard takes its thread back where it was: the mounts, the root and the working directory are those from before.

use std::marker::PhantomData;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::MutexGuard;

use anyhow::{Context, Result, bail};
use fn_error_context::context;
use prepare_root::apply::named_again;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatVfsMountFlags, StatxAttributes, StatxFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, mount_change, mount_remount};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The exit status of `mount(8)` for a place that `fstab(5)` does not know.
const NOT_IN_FSTAB: i32 = 1;

/// The mounts that were changed; dropping it puts them back.
#[derive(Debug, Default)]
pub(crate) struct Namespace {
    /// Mount points of file systems that were read-only themselves.
    put_back: Vec<PathBuf>,
    /// `/boot` as the system sees it: an automount must not expire while we work.
    _hold: Option<OwnedFd>,
    /// The place that the thread has come from, if it has moved.
    home: Option<Home>,
    /// Only the thread that has moved can go back, so the guard does not leave it.
    _of_thread: PhantomData<MutexGuard<'static, ()>>,
}

/// The mounts, the root and the working directory of a thread.
#[derive(Debug)]
struct Home {
    mounts: OwnedFd,
    root: OwnedFd,
    /// `None` where it is gone.
    directory: Option<OwnedFd>,
}

impl Home {
    fn of_this_thread() -> Result<Self> {
        let open = |path: &str, flags| rustix::fs::openat(CWD, path, flags | OFlags::CLOEXEC, Mode::empty());
        let directory = OFlags::PATH | OFlags::DIRECTORY;
        Ok(Self {
            mounts: open("/proc/thread-self/ns/mnt", OFlags::RDONLY)
                .context("Opening the mount namespace")?,
            root: open("/", directory).context("Opening /")?,
            directory: open(".", directory).ok(),
        })
    }

    /// Moves the calling thread there. Moving to a namespace leads to its root, which is another one after `chroot`.
    fn go(&self) -> Result<(), Errno> {
        move_into_link_name_space(self.mounts.as_fd(), Some(LinkNameSpaceType::Mount))?;
        rustix::process::fchdir(&self.root)?;
        rustix::process::chroot(".")?;
        self.directory.as_ref().map_or(Ok(()), rustix::process::fchdir)
    }
}

impl Namespace {
    /// Makes `ostree` and `boot` below `top` writable. Changes nothing where they are, or for who may not mount.
    #[context("Making {} writable", top.display())]
    pub(crate) fn enter(top: &Path) -> Result<Self> {
        let boot = top.join("boot");
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        // Opening is what makes an automount mount.
        let hold = rustix::fs::openat(CWD, &boot, flags, Mode::empty()).ok();
        let mut this = Self { put_back: Vec::new(), _hold: hold, home: None, _of_thread: PhantomData };
        if !rustix::process::geteuid().is_root() {
            return Ok(this);
        }
        let unmounted = is_unmounted(&boot);
        let mut places = vec![top.join("ostree"), boot.clone()];
        places.retain(|place| is_readonly(place).unwrap_or(false));
        if places.is_empty() && !unmounted {
            return Ok(this);
        }
        let home = Home::of_this_thread()?;
        kernel::mount_namespace::enter_new().context("Entering a mount namespace")?;
        this.home = Some(home);
        mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
            .context("Making the mounts follow those of the system")?;
        if unmounted {
            mount_by_fstab(&boot)?;
            places = vec![top.join("ostree"), boot];
        }
        for place in places {
            this.make_writable(&place).with_context(|| format!("Remounting {}", place.display()))?;
        }
        Ok(this)
    }

    /// Makes writable what holds a directory.
    fn make_writable(&mut self, directory: &Path) -> Result<()> {
        if !is_readonly(directory)? {
            return Ok(());
        }
        // Of a link, the place that it leads to; of a directory that is no mount point, the mount that it is part of.
        let real = directory.canonicalize()?;
        for point in real.ancestors() {
            let flags = MountFlags::SILENT | named_again(rustix::fs::statvfs(point)?.f_flag);
            match mount_remount(point, flags | MountFlags::BIND, "") {
                Ok(()) => {}
                Err(Errno::INVAL) => continue,
                Err(error) => return Err(error).with_context(|| point.display().to_string()),
            }
            if is_readonly(point)? {
                // So it is the file system, and this changes it for all mounts of it that allow writing.
                match mount_remount(point, flags, "") {
                    Ok(()) => self.put_back.push(point.to_owned()),
                    Err(error @ (Errno::ROFS | Errno::ACCESS)) => {
                        bail!("{}: its device cannot be written to: {error}", point.display())
                    }
                    Err(error) => return Err(error).with_context(|| point.display().to_string()),
                }
            }
            return Ok(());
        }
        bail!("no mount holds it")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        for point in self.put_back.iter().rev() {
            let put_back = rustix::fs::statvfs(point).and_then(|present| {
                let flags = named_again(present.f_flag) | MountFlags::RDONLY | MountFlags::SILENT;
                mount_remount(point, flags, "")
            });
            if let Err(error) = put_back {
                log::debug!("Making {} read-only again: {error}", point.display());
            }
        }
        if let Some(Err(error)) = self.home.as_ref().map(Home::go) {
            log::warn!("Leaving the mount namespace: {error}");
        }
    }
}

/// For a sysroot that is not the running system's, whose mounts are somebody else's business: refuses where what a change
/// writes to is read-only, before anything is written.
pub(crate) fn require_writable(top: &Path) -> Result<()> {
    for place in [top.join("ostree"), top.join("boot")] {
        if place.exists() && is_readonly(&place)? {
            bail!("{} is read-only; mount it so that it can be written to", place.display());
        }
    }
    Ok(())
}

fn is_readonly(path: &Path) -> Result<bool> {
    let flags = rustix::fs::statvfs(path).with_context(|| format!("Looking at {}", path.display()))?.f_flag;
    Ok(flags.contains(StatVfsMountFlags::RDONLY))
}

/// Whether there is neither a mount nor anything of a boot loader.
fn is_unmounted(boot: &Path) -> bool {
    let is_mount = rustix::fs::statx(CWD, boot, AtFlags::empty(), StatxFlags::empty()).map(|stat| {
        let known = stat.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT);
        !known || stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)
    });
    is_mount == Ok(false) && rustix::fs::statat(CWD, boot.join("loader"), AtFlags::SYMLINK_NOFOLLOW).is_err()
}

/// Mounts it if `fstab(5)` says how. The program does what libmount alone cannot: it finds devices by their labels,
/// and calls the helpers of file systems.
fn mount_by_fstab(boot: &Path) -> Result<()> {
    let output = Command::new("mount").arg(boot).stdin(Stdio::null()).output().context("Running mount")?;
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => Ok(()),
        Some(NOT_IN_FSTAB) => {
            log::debug!("{}", said.trim());
            Ok(())
        }
        _ => bail!("{}", said.trim()),
    }
}
