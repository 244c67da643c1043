// SPDX-License-Identifier: MIT OR Apache-2.0
//! Carrying a repair out. Each action is on the disk before the next one begins.

use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context, Result, bail};
use durable::Sharing;
use rustix::fs::{AtFlags, Mode};

use super::Action;
use crate::sysroot::Sysroot;

const DIR_MODE: Mode = Mode::from_raw_mode(0o755);
const FILE_MODE: Mode = Mode::from_raw_mode(0o644);

pub(super) fn run(sysroot: &Sysroot, actions: &[Action]) -> Result<()> {
    for action in actions {
        step(sysroot, action).with_context(|| format!("Carrying out: {action}"))?;
    }
    // A boot loader does not replay the journal; what the root's links are is read by the initramfs, which does.
    if !actions.is_empty() {
        let settings = sysroot.boot_settings(&sysroot.look()?)?;
        durable::prove(sysroot.places().boot, settings.freezing)?;
    }
    Ok(())
}

fn step(sysroot: &Sysroot, action: &Action) -> Result<()> {
    match action {
        Action::Remove { path } => {
            let (dir, name) = parent(sysroot, path)?;
            let removal = durable::remove_tree(dir.as_fd(), name)?;
            if let Some((left, errno)) = removal.left.first() {
                bail!("{}: {errno}", left.display());
            }
            durable::sync_dir(dir.as_fd())
        }
        Action::Rename { from, to } => {
            let ((old, old_name), (new, new_name)) = (parent(sysroot, from)?, parent(sysroot, to)?);
            rustix::fs::renameat_with(&old, old_name, &new, new_name, rustix::fs::RenameFlags::NOREPLACE)?;
            durable::sync_dir(old.as_fd())?;
            durable::sync_dir(new.as_fd())
        }
        Action::Copy { from, to, .. } => {
            let (dir, name) = parent(sysroot, to)?;
            let source = (sysroot.root(), from.as_str());
            match rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(_) => durable::copy_file_replace(source, (dir.as_fd(), name)),
                Err(_) => durable::copy_file_new(source, (dir.as_fd(), name), Sharing::Link),
            }
        }
        Action::Link { path, target } => {
            let (dir, name) = parent(sysroot, path)?;
            durable::switch_link(dir.as_fd(), name, target)
        }
        Action::Write { path, text } => {
            let (dir, name) = parent(sysroot, path)?;
            durable::replace(dir.as_fd(), name, text.as_bytes(), FILE_MODE)
        }
        Action::Choose { target } => durable::switch_link(sysroot.places().boot, "loader", target),
    }
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
