// SPDX-License-Identifier: MIT OR Apache-2.0
//! Carrying a repair out. Each action is on the disk before the next one begins.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Result, bail};
use durable::{Freezing, Sharing};
use rustix::fs::{Mode, RenameFlags};
use rustix::io::Errno;

use super::Action;
use crate::sysroot::Sysroot;

const DIR_MODE: Mode = Mode::from_raw_mode(0o755);
const FILE_MODE: Mode = Mode::from_raw_mode(0o644);
/// What the name of a thing ends with while it is made.
const TEMPORARY: &str = ".tmp";

pub(super) fn run(sysroot: &Sysroot, actions: &[Action]) -> Result<()> {
    if actions.is_empty() {
        return Ok(());
    }
    let freezing = sysroot.boot_settings(&sysroot.look()?)?.freezing;
    for action in actions {
        step(sysroot, action, freezing).with_context(|| format!("Carrying out: {action}"))?;
    }
    prove(sysroot, freezing)
}

/// A boot loader does not replay the journal; what the root's links are is read by the initramfs, which does.
fn prove(sysroot: &Sysroot, freezing: Freezing) -> Result<()> {
    durable::prove(sysroot.places().boot, freezing).map(drop)
}

fn step(sysroot: &Sysroot, action: &Action, freezing: Freezing) -> Result<()> {
    let put = |(dir, name): (OwnedFd, &str), make: &dyn Fn(BorrowedFd<'_>, &str) -> Result<()>| {
        put(sysroot, freezing, dir.as_fd(), name, make)
    };
    match action {
        Action::Remove { path } => {
            let (dir, name) = parent(sysroot, path)?;
            remove(dir.as_fd(), name)
        }
        Action::Rename { from, to } => {
            let ((old, old_name), (new, new_name)) = (parent(sysroot, from)?, parent(sysroot, to)?);
            rustix::fs::renameat_with(&old, old_name, &new, new_name, rustix::fs::RenameFlags::NOREPLACE)?;
            durable::sync_dir(old.as_fd())?;
            durable::sync_dir(new.as_fd())
        }
        Action::Copy { from, to, .. } => {
            let source = (sysroot.root(), from.as_str());
            put(parent(sysroot, to)?, &|dir, name| durable::copy_file_new(source, (dir, name), Sharing::Link))
        }
        Action::Link { path, target } => {
            let (dir, name) = parent(sysroot, path)?;
            durable::switch_link(dir.as_fd(), name, target)
        }
        Action::Write { path, text } => {
            let write =
                |dir: BorrowedFd<'_>, name: &str| durable::write_new(dir, name, text.as_bytes(), FILE_MODE);
            put(parent(sysroot, path)?, &write)
        }
        Action::Choose { target } => {
            let boot = sysroot.places().boot.try_clone_to_owned()?;
            put((boot, "loader"), &|dir, name| durable::stage_link(dir, name, target))
        }
    }
}

/// Puts what `make` makes in the place of `name`, for a reader that does not replay the journal either.
///
/// Order: made under a temporary name, a proof; exchange with what has the name, or rename where nothing has it, `fsync` of the
/// directory; where there is an old one, a proof, and it is removed. A power cut leaves the old or the new one: a rename over
/// the old one would free its inode as well, and on an xfs each of the three comes to its place by a write of its own.
fn put(
    sysroot: &Sysroot,
    freezing: Freezing,
    dir: BorrowedFd<'_>,
    name: &str,
    make: &dyn Fn(BorrowedFd<'_>, &str) -> Result<()>,
) -> Result<()> {
    let temporary = format!("{name}{TEMPORARY}");
    remove(dir, &temporary)?;
    make(dir, &temporary)?;
    prove(sysroot, freezing)?;
    match rustix::fs::renameat_with(dir, &temporary, dir, name, RenameFlags::EXCHANGE) {
        // Nothing has the name, or this file system knows no exchange.
        Err(Errno::NOENT | Errno::INVAL | Errno::NOSYS) => rustix::fs::renameat(dir, &temporary, dir, name)?,
        other => other?,
    }
    durable::sync_dir(dir)?;
    prove(sysroot, freezing)?;
    remove(dir, &temporary)
}

/// Removes whatever has the name, if anything has it.
fn remove(dir: BorrowedFd<'_>, name: &str) -> Result<()> {
    let removal = durable::remove_tree(dir, name)?;
    if let Some((left, errno)) = removal.left.first() {
        bail!("{}: {errno}", left.display());
    }
    durable::sync_dir(dir)
}

/// The directory and the name of a path; directories on its way are made.
fn parent<'p>(sysroot: &Sysroot, path: &'p str) -> Result<(OwnedFd, &'p str)> {
    let places = sysroot.places();
    let (top, below) = match (path.strip_prefix("/boot/"), path.strip_prefix('/')) {
        (Some(below), _) => (places.boot, below),
        (None, Some(below)) => (places.root, below),
        (None, None) => bail!("{path} does not begin at the root"),
    };
    let (dirs, name) = below.rsplit_once('/').unwrap_or((".", below));
    let mut dir = top.try_clone_to_owned()?;
    for part in dirs.split('/') {
        dir = durable::make_dir(dir.as_fd(), part, DIR_MODE)?;
    }
    Ok((dir, name))
}
