// SPDX-License-Identifier: MIT OR Apache-2.0
//! A directory that the old entries and the new ones go through, and that is changed while a boot loader may read it: `/boot/ostree`.
//!
//! Xfs keeps the names of a small directory in its inode, moves them to a block when they become too many, and back. Inode and
//! block come to their places by two writes. After a power cut between these, whoever does not replay the log finds a directory
//! without names, and an old entry without its kernel. So names that are never removed keep the directory in a block, where a
//! change is one write:
//!
//! ```text
//! /boot/ostree/.keep-0-… .keep-1-…      one empty file; no loader and none of the C tools takes notice of it
//! /boot/.ostree-aside-ostree            while the directory is made anew, with links to the same boot files
//! ```
//!
//! (Ext4 has the names in a block from the beginning, and btrfs changes nothing in place.)

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Result, ensure};
use durable::{Freezing, fault};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::dirs::{kind, names, open_dir};
use crate::names::aside;

/// The directory's name below `/boot`.
const NAME: &str = "ostree";
/// The beginning of the names that keep it in a block.
const KEEP: &str = ".keep-";
/// Bytes that each of them has: the longest name.
const NAME_MAX: usize = 255;
/// More of them than fit into the largest inode (2 KiB, `mkfs.xfs(8)`).
const MOST: usize = 16;
/// Device trees lie some directories deep.
const MAX_DEPTH: usize = 16;

/// Whether `/boot/ostree` has another shape, on a file system where that matters.
pub(crate) fn is_needed(boot: BorrowedFd<'_>) -> Result<bool> {
    Ok(durable::prove::is_xfs(boot)?
        && !open_dir(boot, NAME)?.as_ref().map(has_block_format).transpose()?.unwrap_or(false))
}

/// Brings `/boot/ostree` into the shape that it keeps, unless it has it. To be called before anything in it is made or removed.
///
/// Order: a new directory with the names that keep it in a block and with links to all boot files, brought to its place on the
/// device; exchange with the old one, `fsync` of `/boot`; a proof, then the old one is removed. Where that cannot be proven the
/// old one stays for a later sweep. A power cut leaves the old or the new directory, with the same boot files.
#[fn_error_context::context("Making /boot/{NAME} one that a boot loader can read at any moment")]
pub(crate) fn force_block_format(boot: BorrowedFd<'_>, freezing: Freezing) -> Result<()> {
    if !durable::prove::is_xfs(boot)? {
        return Ok(());
    }
    let old = open_dir(boot, NAME)?;
    if old.as_ref().map(has_block_format).transpose()? == Some(true) {
        return Ok(());
    }
    clear(boot)?;
    let new = make(boot, &aside(NAME))?;
    keep_in_a_block(&new)?;
    let Some(old) = old else {
        durable::sync_dir(new.as_fd())?;
        rustix::fs::renameat_with(boot, aside(NAME), boot, NAME, RenameFlags::NOREPLACE)?;
        return durable::sync_dir(boot);
    };
    link_all(&old, &new, 0)?;
    if !durable::prove(boot, freezing)?.is_proven() {
        // A loader could find the new directory before what is in it.
        return clear(boot);
    }
    fault::point("before-exchange");
    match rustix::fs::renameat_with(boot, aside(NAME), boot, NAME, RenameFlags::EXCHANGE) {
        // Without an exchange there is no way that is better than none.
        Err(Errno::INVAL | Errno::NOSYS) => return clear(boot),
        exchanged => exchanged?,
    }
    durable::sync_dir(boot)?;
    if durable::prove(boot, freezing)?.is_proven() {
        clear(boot)?;
    }
    Ok(())
}

/// Whether a directory has names that keep it in a block.
pub(crate) fn is_made_here(dir: &OwnedFd) -> Result<bool> {
    Ok(kind(dir, &keeping(0))?.is_some())
}

/// Whether its names are in a block, and stay there whatever is removed from it.
fn has_block_format(dir: &OwnedFd) -> Result<bool> {
    Ok(is_in_a_block(dir)? && is_made_here(dir)?)
}

/// A directory in its inode is as large as its names.
fn is_in_a_block(dir: &OwnedFd) -> Result<bool> {
    let size = u64::try_from(rustix::fs::fstat(dir)?.st_size)?;
    Ok(size >= rustix::fs::fstatvfs(dir)?.f_bsize)
}

fn keep_in_a_block(dir: &OwnedFd) -> Result<()> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    rustix::fs::openat(dir, keeping(0), flags, Mode::from_raw_mode(0o644))?;
    let mut made = 1;
    while !is_in_a_block(dir)? {
        ensure!(made < MOST, "{MOST} long names fit into its inode");
        rustix::fs::linkat(dir, keeping(0), dir, keeping(made), AtFlags::empty())?;
        made += 1;
    }
    Ok(())
}

/// The name that says what it is for, filled up to the longest that there can be.
fn keeping(number: usize) -> String {
    let name =
        format!("{KEEP}{number}-so-that-xfs-does-not-move-this-directory-while-a-boot-loader-reads-it");
    format!("{name:-<NAME_MAX$}")
}

fn clear(boot: BorrowedFd<'_>) -> Result<()> {
    ensure!(
        durable::remove_tree(boot, &aside(NAME))?.is_complete(),
        "/boot/{} cannot be removed",
        aside(NAME)
    );
    Ok(())
}

fn make(at: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    durable::new_dir(at, name, Mode::from_raw_mode(0o755)).with_context(|| format!("Making directory {name}"))
}

/// Everything in `from` gets its name in `to` as well; directories are made.
fn link_all(from: &OwnedFd, to: &OwnedFd, depth: usize) -> Result<()> {
    ensure!(depth < MAX_DEPTH, "Directories are nested deeper than {MAX_DEPTH}");
    for name in names(from)? {
        if name.starts_with(KEEP) && depth == 0 {
            continue;
        }
        match kind(from, &name)? {
            Some(FileType::Directory) => {
                let Some(below) = open_dir(from, &name)? else { continue };
                link_all(&below, &make(to.as_fd(), &name)?, depth + 1)?;
            }
            Some(_) => rustix::fs::linkat(from, &name, to, &name, AtFlags::empty())
                .with_context(|| format!("Linking {name}"))?,
            None => {}
        }
    }
    durable::sync_dir(to.as_fd())
}
