// SPDX-License-Identifier: MIT OR Apache-2.0
//! Room that is kept for going back and for cleaning up on a full disk: even a boot menu with one deployment less has to be
//! written before anything may go.
//!
//! ```text
//! /ostree/.reserve/0 …            on the root
//! /boot/.ostree-reserve/0 …       on /boot, where that is a file system of its own
//! ```
//!
//! Each file is a block or two and an inode. They are made where there is plenty, and go when a change that makes no deployment finds
//! next to nothing free.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::Result;
use rustix::fs::{AtFlags, Dir, FallocateFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::directory;
use crate::init::make_dir;
use crate::load::Loaded;
use crate::sysroot::Sysroot;

/// Below the physical root.
const ON_ROOT: &str = "ostree/.reserve";
/// Below `/boot`.
const ON_BOOT: &str = ".ostree-reserve";

/// How many files: a switch makes a dozen, and the refs of the deployments some more.
const FILES: u64 = 48;
/// Bytes of each.
const SIZE: u64 = 4096;

/// Below this nothing is left for a switch: twice what it takes.
const SCARCE: u64 = 2 * FILES * SIZE;
/// The same in files.
const SCARCE_FILES: u64 = 2 * FILES;
/// From here on the reserve costs nobody anything.
const PLENTY: u64 = 16 << 20;
/// The same in files.
const PLENTY_FILES: u64 = 2048;

impl Sysroot {
    /// Makes the reserve where there is room for it. That it is not made stops nobody.
    pub(crate) fn fill_reserve(&self, loaded: &Loaded) {
        for (dir, name) in self.reserves(loaded.boot.boot_on_root) {
            if let Err(error) = fill(dir, name) {
                log::debug!("Making {name}: {error:#}");
            }
        }
    }

    /// Lets go of it where next to nothing is free.
    pub(crate) fn release_reserve(&self) {
        for (dir, name) in self.reserves(false) {
            let scarce = free(dir).is_ok_and(|(bytes, files)| bytes < SCARCE || files < SCARCE_FILES);
            if scarce && directory::find(dir, name).is_ok_and(|found| found.is_some()) {
                log::info!("Next to nothing is free: using what was reserved in {name}");
                if let Err(error) = durable::remove_tree(dir, name) {
                    log::warn!("Removing {name}: {error:#}");
                }
            }
        }
    }

    /// What `/boot` would have more of without it: bytes and files.
    pub(crate) fn reserved_in_boot(&self) -> (u64, u64) {
        let files = directory::find(self.places().boot, ON_BOOT).ok().flatten().map_or(0, |dir| count(&dir));
        (files.saturating_mul(SIZE), files)
    }

    fn reserves(&self, boot_on_root: bool) -> impl Iterator<Item = (BorrowedFd<'_>, &'static str)> {
        let boot = (!boot_on_root).then_some((self.places().boot, ON_BOOT));
        std::iter::once((self.root(), ON_ROOT)).chain(boot)
    }
}

/// Bytes and files that are free.
fn free(dir: BorrowedFd<'_>) -> Result<(u64, u64), Errno> {
    let fs = rustix::fs::fstatvfs(dir)?;
    let files = if fs.f_files == 0 { u64::MAX } else { fs.f_favail };
    Ok((fs.f_bavail.saturating_mul(fs.f_frsize), files))
}

fn count(dir: &OwnedFd) -> u64 {
    let names = Dir::read_from(dir).into_iter().flatten().flatten();
    names.filter(|entry| !matches!(entry.file_name().to_bytes(), b"." | b"..")).count() as u64
}

fn fill(at: BorrowedFd<'_>, name: &str) -> Result<()> {
    let (bytes, files) = free(at)?;
    if bytes < PLENTY || files < PLENTY_FILES {
        return Ok(());
    }
    make_dir(at, name, 0o700)?;
    let dir = directory::open(at, name)?;
    if count(&dir) >= FILES {
        return Ok(());
    }
    for number in 0..FILES {
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = rustix::fs::openat(&dir, number.to_string(), flags, Mode::from_raw_mode(0o600))?;
        // Without a way to take blocks for a file that says nothing there is no reserve.
        if let Err(error) = rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, SIZE) {
            rustix::fs::unlinkat(&dir, number.to_string(), AtFlags::empty())?;
            return Err(error.into());
        }
    }
    durable::sync_dir(dir.as_fd())
}
