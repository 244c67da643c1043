// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where images are made: in memory, or in a directory if they are to be kept.
//!
//! Everything is mounted in a namespace of this process (see [`crate::main`]), so nothing is left behind.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use fn_error_context::context;
use rustix::fs::{Advice, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};

use crate::program::run;

/// The memory that the images may take. They are sparse.
const SIZE: &str = "12g";

/// How long a file system may stay in use after its last user.
const PATIENCE: Duration = Duration::from_secs(20);

/// The directory with the images.
#[derive(Debug)]
pub struct Workshop {
    path: PathBuf,
    keep: bool,
}

/// A directory in it that goes with what it is for. All rows together have more than the memory holds.
#[derive(Debug)]
pub struct Room {
    path: PathBuf,
    keep: bool,
}

impl Workshop {
    /// Makes it below `dir`, an empty directory.
    #[context("Making a place for the images in {}", dir.display())]
    pub fn new(dir: &Path, keep: bool) -> Result<Self> {
        let path = dir.join("images");
        std::fs::create_dir_all(&path)?;
        if !keep {
            let size = format!("size={SIZE}");
            run("mount", ["-t", "tmpfs", "-o", &size, "tmpfs", &text(&path)])?;
        }
        Ok(Self { path, keep })
    }

    /// A room with nothing in it: a row of a mistake is recorded several times.
    pub fn room(&self, name: &str) -> Result<Room> {
        let path = self.directory(name)?;
        std::fs::remove_dir_all(&path).with_context(|| format!("Emptying {}", path.display()))?;
        Ok(Room { path: self.directory(name)?, keep: self.keep })
    }

    /// A directory in it.
    pub fn directory(&self, name: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        std::fs::create_dir_all(&path).with_context(|| format!("Making {}", path.display()))?;
        Ok(path)
    }
}

impl Room {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if !self.keep {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// A loop device, for as long as this lives or something is mounted from it.
#[derive(Debug)]
pub(crate) struct Loop {
    pub(crate) path: PathBuf,
}

impl Loop {
    /// A part of a file, in bytes; a `size` of 0 means all of it.
    pub(crate) fn attach(file: &Path, offset: u64, size: u64) -> Result<Self> {
        // Two that look for a free device at the same time may find the same.
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _held = ONE_AT_A_TIME.lock();
        let (offset, size) = (offset.to_string(), size.to_string());
        let path = run("losetup", ["--find", "--show", "-o", &offset, "--sizelimit", &size, &text(file)])?;
        Ok(Self { path: PathBuf::from(path) })
    }

    /// Waits until nothing is mounted from it: mounts of a namespace go some time after its last process.
    pub(crate) fn wait(&self) -> Result<()> {
        self.open_alone().map(drop)
    }

    fn open_alone(&self) -> Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::EXCL | OFlags::CLOEXEC;
        // Not exclusively as long as a file system has it.
        patiently(|| rustix::fs::open(&self.path, flags, Mode::empty()))
            .with_context(|| format!("Opening {}", self.path.display()))
    }

    /// Makes the kernel read it anew, for its file was changed. A file system that was unmounted may linger for as long as
    /// a namespace that had it takes to go, and any program of this machine may have the device open.
    pub(crate) fn forget(&self) -> Result<()> {
        let device = self.open_alone()?;
        Ok(rustix::fs::fadvise(&device, 0, None, Advice::DontNeed)?)
    }
}

/// Tries again while something is in use.
fn patiently<T>(mut attempt: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    let started = Instant::now();
    loop {
        match attempt() {
            Err(Errno::BUSY) if started.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(1)),
            done => return done,
        }
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        // A device that is in use goes when its user does.
        let _ = run("losetup", ["-d", &text(&self.path)]);
    }
}

/// A mounted file system, unmounted when this is dropped.
#[derive(Debug)]
pub(crate) struct Mount {
    at: PathBuf,
}

impl Mount {
    /// Mounts a device.
    pub(crate) fn new(device: &Path, at: &Path, kind: &str, flags: MountFlags, data: &str) -> Result<Self> {
        let data = std::ffi::CString::new(data)?;
        patiently(|| rustix::mount::mount(device, at, kind, flags, Some(data.as_c_str())))
            .with_context(|| format!("Mounting {kind} of {} at {}", device.display(), at.display()))?;
        Ok(Self { at: at.to_owned() })
    }

    /// Takes over what was mounted otherwise.
    pub(crate) fn adopt(at: &Path) -> Self {
        Self { at: at.to_owned() }
    }

    /// Unmounts it, and says if that fails.
    pub(crate) fn unmount(self) -> Result<()> {
        let path = self.at.clone();
        // A program that another thread is about to start has our descriptors until then.
        let done = patiently(|| rustix::mount::unmount(&path, UnmountFlags::empty()));
        if done.is_ok() {
            std::mem::forget(self);
        }
        done.with_context(|| format!("Unmounting {}", path.display()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.at, UnmountFlags::DETACH);
    }
}

/// A path of ours as text: all of them are.
pub(crate) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
