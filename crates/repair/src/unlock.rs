// SPDX-License-Identifier: MIT OR Apache-2.0
//! A writable `/usr` of the running system: an overlay whose changes go with the next boot, or stay as a hotfix.
//!
//! | kind | changes are in | word of it is in |
//! |---|---|---|
//! | development | `/var/tmp/ostree-unlock-ovl.…/upper` | `/run/ostree/deployment-state/NAME/unlocked-development` |
//! | transient | the same; mounted read-only | `/run/ostree/deployment-state/NAME/unlocked-transient` |
//! | hotfix | `.usr-ovl-upper` of the deployment, which the initramfs mounts again | its origin, `unlocked=hotfix` |

use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use anyhow::{Context, Result};
use deploy::seal::{seal, set_immutable};
use deploy::{Check, DeployOptions, Selinux};
use durable::fault;
use fn_error_context::context;
use formats::bootlink::DeploymentPath;
use prepare_root::facts::{HOTFIX_UPPER, HOTFIX_WORK};
use rustix::fs::{AtFlags, CWD, Mode, XattrFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount_bind, mount_remount, unmount};
use sysroot::directory::{self, make_dir};
use sysroot::status::{RUN_STATE_OF_DEPLOYMENTS, unlocked};
use sysroot::{Deployment, Lock, Options, Sysroot, Which};

/// How `/usr` is made writable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unlock {
    /// Until the next boot.
    Development,
    /// Until the next boot, and by who mounts it writable for himself.
    Transient,
    /// Also after it; a deployment without the changes is put behind, to go back to.
    Hotfix,
}

/// Why `/usr` stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnlockError {
    /// There is no `/usr` of a deployment.
    #[error("Not currently booted into an OSTree system")]
    NotBooted,
    /// Once is enough.
    #[error("Deployment is already in unlocked state: {0}")]
    Already(&'static str),
}

/// Where overlays are that go with the next boot; `systemd-tmpfiles` removes what one has left.
const TEMPORARY: &str = "/var/tmp";

/// Where a deployment is mounted for as long as it takes to mount something of it.
const STAGING: &str = "/run/ostree/unlock";

impl Unlock {
    fn word(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Transient => "transient",
            Self::Hotfix => "hotfix",
        }
    }
}

/// Makes `/usr` of the running system, whose physical root is at `path`, writable. `on_wait` is called if another process
/// holds the lock.
///
/// The mounts are for all to see, so this thread stays in the system's mount namespace. Another one holds the lock from before
/// anything is read until all is done, in a namespace where the physical root can be written to.
#[context("Unlocking /usr")]
pub fn unlock(path: &Path, options: &Options, how: Unlock, on_wait: impl FnOnce() + Send) -> Result<()> {
    let (prepared, is_prepared) = mpsc::sync_channel(1);
    let (mounted, is_mounted) = mpsc::sync_channel(1);
    std::thread::scope(|scope| {
        let holder = scope.spawn(move || -> Result<()> {
            let sysroot = Sysroot::open_for_change(path)?.with_options(options);
            let lock = sysroot.lock(on_wait)?;
            let booted = to_unlock(&sysroot)?;
            if how == Unlock::Hotfix {
                prepare_hotfix(&lock, &booted)?;
            }
            // The channel is closed where the other side has failed; it says why.
            let _ = prepared.send(booted.path);
            if is_mounted.recv().is_ok() { deploy::touch(&sysroot) } else { Ok(()) }
        });
        let shown = is_prepared.recv().ok().map(|booted| show(path, &booted, how));
        if let Some(Ok(())) = shown {
            let _ = mounted.send(());
        }
        drop(mounted);
        let held = holder.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        shown.transpose().and(held)
    })
}

/// The running deployment, whose `/usr` must not be writable yet.
fn to_unlock(sysroot: &Sysroot) -> Result<Deployment> {
    let loaded = sysroot.load()?;
    let booted = loaded.find(Which::Booted).and_then(|index| loaded.deployments.get(index));
    let booted = booted.ok_or(UnlockError::NotBooted)?;
    match unlocked(&loaded, booted) {
        "none" => Ok(booted.clone()),
        already => Err(UnlockError::Already(already).into()),
    }
}

/// Mounts the overlay where everybody sees it.
fn show(path: &Path, booted: &DeploymentPath, how: Unlock) -> Result<()> {
    let sysroot = Sysroot::open(path)?;
    if how == Unlock::Hotfix {
        return mount_hotfix(&sysroot, booted).context("It is mounted by the next boot");
    }
    let tree = directory::open(sysroot.root(), &booted.to_string())?;
    let overlay = Temporary::new(tree.as_fd())?;
    overlay.mount(tree.as_fd(), how)?;
    mark(booted, how)
}

/// Leaves word until the next boot.
#[context("Writing {RUN_STATE_OF_DEPLOYMENTS}")]
fn mark(deployment: &DeploymentPath, how: Unlock) -> Result<()> {
    let dir = format!("{RUN_STATE_OF_DEPLOYMENTS}/{}", deployment.name());
    std::fs::create_dir_all(&dir)?;
    Ok(std::fs::write(format!("{dir}/unlocked-{}", how.word()), "")?)
}

/// An overlay in a directory of its own, which goes if it comes to nothing.
struct Temporary {
    dir: PathBuf,
    kept: std::cell::Cell<bool>,
}

impl Temporary {
    #[context("Making a place for the changes in {TEMPORARY}")]
    fn new(tree: BorrowedFd<'_>) -> Result<Self> {
        let id = rustix::process::getpid().as_raw_nonzero();
        let mut attempt = 0;
        let dir = loop {
            let dir = PathBuf::from(format!("{TEMPORARY}/ostree-unlock-ovl.{id}-{attempt}"));
            match rustix::fs::mkdir(&dir, Mode::from_raw_mode(0o755)) {
                Err(Errno::EXIST) => attempt += 1,
                made => break made.map(|()| dir)?,
            }
        };
        let this = Self { dir, kept: false.into() };
        let at = directory::open_named(CWD, &this.dir)?;
        make_like_usr(tree, at.as_fd(), "upper")?;
        make_like_usr(tree, at.as_fd(), "work")?;
        Ok(this)
    }

    fn mount(&self, tree: BorrowedFd<'_>, how: Unlock) -> Result<()> {
        let dir = self.dir.display();
        let options = format!("lowerdir=usr,upperdir={dir}/upper,workdir={dir}/work");
        let access = if how == Unlock::Transient { MountFlags::RDONLY } else { MountFlags::empty() };
        mount_over_usr(tree, &options, access)?;
        self.kept.set(true);
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.kept.get() {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

/// Makes a directory that shows as `/usr`: with its owner, mode and label.
fn make_like_usr(tree: BorrowedFd<'_>, at: BorrowedFd<'_>, name: &str) -> Result<()> {
    const LABEL: &str = "security.selinux";
    let usr = directory::open(tree, "usr")?;
    let stat = rustix::fs::fstat(&usr)?;
    make_dir(at, name, stat.st_mode & 0o7777)?;
    let made = directory::open(at, name)?;
    let mut label = [0; 1024];
    if let Ok(length) = rustix::fs::fgetxattr(&usr, LABEL, &mut label) {
        let label = label.get(..length).unwrap_or_default();
        rustix::fs::fsetxattr(&made, LABEL, label, XattrFlags::empty())
            .with_context(|| format!("Labelling {name}"))?;
    }
    Ok(())
}

/// Everything of a hotfix that is on the disk, in a mount namespace where that can be written to.
fn prepare_hotfix(lock: &Lock<'_>, booted: &Deployment) -> Result<()> {
    let sysroot = lock.sysroot();
    let options = DeployOptions {
        stateroot: Some(booted.path.stateroot.clone()),
        origin: Some(booted.known_origin()?.clone()),
        as_default: false,
        selinux: Selinux::Ignore,
        // It runs.
        ignore: Check::IGNORABLE.to_vec(),
        ..DeployOptions::new(&booted.path.checksum.to_string())
    };
    deploy::deploy(lock, &options).context("Deploying a copy without the hotfix")?;
    let tree = directory::open(sysroot.root(), &booted.path.to_string())?;
    set_immutable(tree.as_fd(), false)?;
    let made = make_hotfix(tree.as_fd());
    // Nothing but these is to be made there.
    seal(sysroot, tree.as_fd())?;
    made?;
    let mut origin = booted.known_origin()?.clone();
    origin.0.set_string("origin", "unlocked", Unlock::Hotfix.word());
    deploy::write_origin(sysroot, &booted.path, &origin)
}

/// The directory that the initramfs looks for is made last: with that alone it would mount nothing.
#[context("Making the directories of the overlay")]
fn make_hotfix(tree: BorrowedFd<'_>) -> Result<()> {
    make_like_usr(tree, tree, HOTFIX_UPPER)?;
    durable::sync_dir(tree)?;
    fault::point("hotfix-upper");
    make_like_usr(tree, tree, HOTFIX_WORK)?;
    durable::sync_fs(tree)
}

/// Mounts the overlay as the initramfs does at the next boot. Where the physical root is read-only, the kernel takes an upper
/// directory through a writable mount only, which is there for just as long.
#[context("Mounting the overlay")]
fn mount_hotfix(sysroot: &Sysroot, booted: &DeploymentPath) -> Result<()> {
    make_dir(CWD, "/run/ostree", 0o755)?;
    make_dir(CWD, STAGING, 0o700)?;
    let from = format!("{}/{booted}", proc_path(sysroot));
    mount_bind(from.as_str(), STAGING).context("Mounting the deployment aside")?;
    let mount = || -> Result<()> {
        mount_remount(STAGING, MountFlags::BIND, "").context("Making that writable")?;
        let tree = directory::open(CWD, STAGING)?;
        let options = format!("lowerdir=usr,upperdir={HOTFIX_UPPER},workdir={HOTFIX_WORK}");
        mount_over_usr(tree.as_fd(), &options, MountFlags::empty())
    };
    let mounted = mount();
    unmount(STAGING, UnmountFlags::DETACH).context("Unmounting the deployment")?;
    let _ = rustix::fs::unlinkat(CWD, STAGING, AtFlags::REMOVEDIR);
    mounted
}

fn proc_path(sysroot: &Sysroot) -> String {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}", sysroot.root().as_raw_fd())
}

/// Mounts an overlay whose directories are named relative to the deployment, by a thread whose working directory that is.
fn mount_over_usr(tree: BorrowedFd<'_>, options: &str, access: MountFlags) -> Result<()> {
    let options = std::ffi::CString::new(options)?;
    let flags = access | MountFlags::SILENT;
    let mount = || -> Result<(), Errno> {
        kernel::own_directory::unshare()?;
        rustix::process::fchdir(tree)?;
        rustix::mount::mount("overlay", "/usr", "overlay", flags, options.as_c_str())
    };
    let mounted = std::thread::scope(|scope| scope.spawn(mount).join());
    mounted.unwrap_or_else(|panic| std::panic::resume_unwind(panic)).context("mount(/usr)")
}
