// SPDX-License-Identifier: MIT OR Apache-2.0
//! The room that a repair takes, and what makes it: first what no entry needs, and if that is not enough, one file that a person
//! may remove.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, Result};
use bootloader::{BootState, leftovers};
use rustix::fs::{AtFlags, Dir, FileType};
use sysroot::running::deployments_in;
use sysroot::{Sysroot, directory};

use super::finding::{Action, BootCheck, NoRoom, Problem, Topic};
use super::menu::Menu;

/// Blocks for what a file system keeps of a file beside its contents.
const OWN_BLOCKS: u64 = 2;

/// Where files lie that nobody misses for a boot, below the physical root.
const DISPENSABLE: [&str; 3] = ["cache", "tmp", "log"];

/// No directory that is looked through is deeper.
const MAX_DEPTH: usize = 6;

/// Adds to the plan what has to be removed first, and says what is missing then.
pub(super) fn make(sysroot: &Sysroot, menu: Option<&Menu>, check: &mut BootCheck) -> Result<()> {
    let Some(menu) = menu.filter(|_| !check.repair.is_empty()) else { return Ok(()) };
    let places = sysroot.places();
    let mut boot = Needs::of(places.boot, &check.repair, "/boot/", menu.state.boot_on_root)?;
    if menu.state.boot_on_root {
        let root = Needs::of(places.root, &check.repair, "/ostree/", true)?;
        boot = Needs { blocks: boot.blocks + root.blocks, files: boot.files + root.files, ..boot };
    }
    let is_sure = |problem: &Problem| problem.topic != Topic::Entry || problem.by_hand.is_none();
    if !boot.fit() && check.problems.iter().all(is_sure) {
        let mut freed = unneeded(sysroot, menu)?;
        freed.extend(replaced(check));
        for (path, bytes) in freed {
            if boot.fit() {
                break;
            }
            boot.free += bytes.div_ceil(boot.block);
            boot.free_files += 1;
            check.repair.insert(0, Action::Remove { path });
        }
    }
    check.no_room = boot.no_room(sysroot, menu, "/boot")?;
    if check.no_room.is_none() && !menu.state.boot_on_root {
        let root = Needs::of(places.root, &check.repair, "/ostree/", true)?;
        check.no_room = root.no_room(sysroot, menu, "/")?;
    }
    Ok(())
}

/// Room on one file system, in blocks and files.
struct Needs {
    block: u64,
    free: u64,
    free_files: u64,
    blocks: u64,
    files: u64,
}

impl Needs {
    /// Returns the space that the actions below `prefix` take. Copies that become links take no blocks.
    fn of(top: BorrowedFd<'_>, actions: &[Action], prefix: &str, linked: bool) -> Result<Self> {
        let fs = rustix::fs::fstatvfs(top).context("Asking for free space")?;
        let block = fs.f_frsize.max(1);
        // Blocks that are kept back for root are in part kept back from root, too.
        let free = fs.f_bavail;
        // btrfs has no fixed number of files, and says 0.
        let free_files = if fs.f_files == 0 { u64::MAX } else { fs.f_ffree };
        let (mut blocks, mut files) = (0, 0);
        let mut dirs = BTreeSet::new();
        let base = if prefix == "/boot/" { "/boot/" } else { "/" };
        for action in actions {
            let (path, size) = match action {
                Action::Copy { to, .. } if linked => (to.as_str(), None),
                Action::Copy { to, size, .. } => (to.as_str(), Some(*size)),
                Action::Write { path, text } => (path.as_str(), Some(text.len() as u64)),
                Action::Link { path, .. } => (path.as_str(), None),
                Action::Choose { .. } => ("/boot/loader", None),
                Action::Remove { .. } | Action::Rename { .. } => continue,
            };
            if !path.starts_with(prefix) {
                continue;
            }
            files += 1;
            blocks += size.map_or(0, |size| size.div_ceil(block) + OWN_BLOCKS);
            let below = path.strip_prefix(base).unwrap_or(path);
            let parents = below.match_indices('/').filter_map(|(at, _)| below.get(..at));
            dirs.extend(parents.filter(|dir| !is_there(top, dir)).map(str::to_owned));
        }
        // A directory that is renamed brings those in it along.
        let brought = |dir: &String| {
            actions.iter().any(|action| match action {
                Action::Rename { to, .. } => to.strip_prefix(base).is_some_and(|to| dir.starts_with(to)),
                _ => false,
            })
        };
        let made = dirs.iter().filter(|dir| !brought(dir)).count() as u64;
        Ok(Self { block, free, free_files, blocks: blocks + made, files: files + made })
    }

    fn fit(&self) -> bool {
        self.blocks <= self.free && self.files <= self.free_files
    }

    fn no_room(&self, sysroot: &Sysroot, menu: &Menu, place: &str) -> Result<Option<NoRoom>> {
        if self.fit() {
            return Ok(None);
        }
        let missing = self.blocks.saturating_sub(self.free) * self.block;
        let on_root = place == "/" || menu.state.boot_on_root;
        let found = if on_root { on_the_root(sysroot)? } else { in_boot(sysroot, &menu.state)? };
        Ok(Some(NoRoom {
            place: place.to_owned(),
            free: self.free * self.block,
            needed: self.blocks * self.block,
            files: [self.free_files, self.files],
            remove: best(found, missing),
        }))
    }
}

/// The smallest file that is enough; if none is, the largest.
fn best(mut found: Vec<(String, u64)>, missing: u64) -> Option<String> {
    found.sort_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
    let enough = found.iter().find(|(_, bytes)| *bytes >= missing.max(1));
    enough.or(found.last()).filter(|(_, bytes)| *bytes > 0).map(|(path, _)| path.clone())
}

/// Directories in `/boot/ostree` that no entry of either set needs, with their bytes; the largest first.
fn unneeded(sysroot: &Sysroot, menu: &Menu) -> Result<Vec<(String, u64)>> {
    let settings = sysroot.boot_settings(&sysroot.load_lenient()?)?;
    let other = BootState::read_as_if(sysroot.places(), 1 - menu.version)?;
    let texts: Vec<String> = other.entries.iter().map(|entry| entry.entry.to_string()).collect();
    let kept: BTreeSet<String> = menu
        .places
        .iter()
        .map(|place| format!("{}-{}", place.deployment.stateroot, place.bootlink.boot_checksum))
        .collect();
    let mut found = Vec::new();
    for path in leftovers(&menu.state, &settings) {
        let Some(name) = path.strip_prefix("/boot/ostree/").filter(|name| !name.contains('/')) else {
            continue;
        };
        if kept.contains(name) || !other.unreadable.is_empty() || texts.iter().any(|text| text.contains(name))
        {
            continue;
        }
        let files = menu.state.boot_dirs.get(name).into_iter().flatten();
        found.push((path.clone(), files.map(|(_, size)| *size).sum()));
    }
    found.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    Ok(found)
}

/// Damaged files that are copied anew: they cannot be booted, so they may go first.
fn replaced(check: &BootCheck) -> Vec<(String, u64)> {
    let copied = |path: &String| {
        check.repair.iter().any(|action| matches!(action, Action::Copy { to, .. } if to == path))
    };
    let problems = check.problems.iter().filter(|problem| problem.topic == Topic::BootFile);
    let damaged = problems.filter(|problem| problem.text.starts_with("differs") && copied(&problem.path));
    let size = |path: &str| {
        check.repair.iter().find_map(|action| match action {
            Action::Copy { to, size, .. } if to == path => Some(*size),
            _ => None,
        })
    };
    damaged.filter_map(|problem| Some((problem.path.clone(), size(&problem.path)?))).collect()
}

/// Files in `/boot` that no entry names and that no boot loader is known to need.
fn in_boot(sysroot: &Sysroot, state: &BootState) -> Result<Vec<(String, u64)>> {
    let texts: Vec<String> = state.entries.iter().map(|entry| entry.entry.to_string()).collect();
    let mut found = Vec::new();
    walk(sysroot.places().boot, "/boot", 0, &mut found)?;
    let loaders = ["loader", "EFI", "efi", "grub", "syslinux", "extlinux", "ostree"];
    found.retain(|(path, _)| {
        let below = path.strip_prefix("/boot/").unwrap_or(path);
        let top = below.split('/').next().unwrap_or_default();
        !loaders.iter().any(|name| top.starts_with(name)) && !texts.iter().any(|text| text.contains(below))
    });
    Ok(found)
}

/// Files of the physical root that nobody misses for a boot: logs, caches, and what an interrupted pull has left.
fn on_the_root(sysroot: &Sysroot) -> Result<Vec<(String, u64)>> {
    let mut found = Vec::new();
    let mut dirs = vec!["ostree/repo/tmp".to_owned()];
    for path in deployments_in(sysroot.root())? {
        dirs.extend(DISPENSABLE.map(|name| format!("ostree/deploy/{}/var/{name}", path.stateroot)));
    }
    dirs.sort();
    dirs.dedup();
    for dir in dirs {
        if let Some(opened) = directory::find(sysroot.root(), &dir)? {
            walk(opened.as_fd(), &format!("/{dir}"), 0, &mut found)?;
        }
    }
    Ok(found)
}

fn is_there(top: BorrowedFd<'_>, path: &str) -> bool {
    rustix::fs::statat(top, path, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

/// Every file with the bytes of its blocks. What cannot be read is passed over: it is only looked for what helps.
fn walk(dir: BorrowedFd<'_>, at: &str, depth: usize, found: &mut Vec<(String, u64)>) -> Result<()> {
    for entry in Dir::read_from(dir)? {
        let Ok(entry) = entry else { continue };
        let name = entry.file_name();
        let Ok(text) = name.to_str() else { continue };
        if matches!(text, "." | "..") {
            continue;
        }
        let Ok(stat) = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        let path = format!("{at}/{text}");
        match FileType::from_raw_mode(stat.st_mode) {
            // Of one with other names nothing is freed.
            FileType::RegularFile if stat.st_nlink == 1 => {
                found.push((path, u64::try_from(stat.st_blocks).unwrap_or(0) * 512));
            }
            FileType::Directory if depth < MAX_DEPTH => {
                if let Ok(Some(inner)) = directory::find_in_tree(dir, text) {
                    walk(inner.as_fd(), &path, depth + 1, found)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}
