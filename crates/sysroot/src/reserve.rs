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
use bootloader::Places;
use rustix::fs::{AtFlags, Dir, FallocateFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::directory;

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

/// Makes the reserve where there is room for it. A reserve that cannot be made stops nothing.
pub fn fill(places: Places<'_>, boot_on_root: bool) {
    for (dir, name) in reserves(places, boot_on_root) {
        if let Err(error) = fill_in(dir, name) {
            log::debug!("Making {name}: {error:#}");
        }
    }
}

/// Removes the reserve where next to nothing is free.
pub fn release(places: Places<'_>) {
    for (dir, name) in reserves(places, false) {
        if is_scarce(dir) && is_made(dir, name) {
            log::info!("Next to nothing is free: using what was reserved in {name}");
            if let Err(error) = durable::remove_tree(dir, name) {
                log::warn!("Removing {name}: {error:#}");
            }
        }
    }
}

/// Counts the bytes and files that removing the reserve would free in `/boot`.
pub fn reserved_in_boot(boot: BorrowedFd<'_>) -> (u64, u64) {
    let files = directory::find(boot, ON_BOOT).ok().flatten().map_or(0, |dir| count(&dir));
    (files.saturating_mul(SIZE), files)
}

fn reserves(places: Places<'_>, boot_on_root: bool) -> impl Iterator<Item = (BorrowedFd<'_>, &'static str)> {
    let boot = (!boot_on_root).then_some((places.boot, ON_BOOT));
    std::iter::once((places.root, ON_ROOT)).chain(boot)
}

/// Lists the reserves that [`release`] would let go of now, by their paths from the physical root.
#[must_use]
pub fn scarce(places: Places<'_>) -> Vec<String> {
    let listed = reserves(places, false).filter(|(dir, name)| is_scarce(*dir) && is_made(*dir, name));
    listed.map(|(_, name)| path(name)).collect()
}

/// Lists the reserves that [`fill`] would make now, by their paths from the physical root.
#[must_use]
pub fn missing(places: Places<'_>, boot_on_root: bool) -> Vec<String> {
    let is_whole = |dir: BorrowedFd<'_>, name: &str| {
        directory::find(dir, name).ok().flatten().is_some_and(|found| count(&found) >= FILES)
    };
    let is_plenty =
        |dir: BorrowedFd<'_>| free(dir).is_ok_and(|(bytes, files)| bytes >= PLENTY && files >= PLENTY_FILES);
    let listed =
        reserves(places, boot_on_root).filter(|(dir, name)| is_plenty(*dir) && !is_whole(*dir, name));
    listed.map(|(_, name)| path(name)).collect()
}

fn path(name: &str) -> String {
    if name == ON_BOOT { format!("/boot/{name}") } else { format!("/{name}") }
}

fn is_scarce(dir: BorrowedFd<'_>) -> bool {
    free(dir).is_ok_and(|(bytes, files)| bytes < SCARCE || files < SCARCE_FILES)
}

fn is_made(dir: BorrowedFd<'_>, name: &str) -> bool {
    directory::find(dir, name).is_ok_and(|found| found.is_some())
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

fn fill_in(at: BorrowedFd<'_>, name: &str) -> Result<()> {
    let (bytes, files) = free(at)?;
    if bytes < PLENTY || files < PLENTY_FILES {
        return Ok(());
    }
    directory::make_dir(at, name, 0o700)?;
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
