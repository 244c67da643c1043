// SPDX-License-Identifier: MIT OR Apache-2.0
//! The space that a new deployment takes on the root, before anything is written there.
//!
//! The count has a block and an inode for each directory of the tree, more blocks for large ones, the copy of `/etc` with
//! the local changes, and a margin. Files are hard links of objects and take nothing but their names; where the
//! repository keeps them in another form they are copies, and not counted here. `/boot` is counted by the switch.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use anyhow::{Context, Result};
use bootloader::{Space, SwitchPlan, megabytes};
use durable::{Mounts, Walk};
use rustix::fs::{AtFlags, FileType, Stat};
use sysroot::commit_tree::CommitTree;
use sysroot::{Loaded, Sysroot, directory};

use crate::deploy_plan::DeployPlan;

/// For growing directories, refs, origin and links, in bytes.
const MARGIN: u64 = 512 << 10;
/// The same in files.
const MARGIN_FILES: u64 = 64;

/// Where this much is free, in bytes, a tree is not counted: the largest systems have some 60,000 directories and configuration of some megabytes.
const PLENTY: u64 = 2 << 30;
/// The same in files. An ext4 of 16 GB has a million.
const PLENTY_FILES: u64 = 1 << 18;

/// Whether a tree is counted where there is room for any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counting {
    /// For who wants to know.
    Always,
    /// Not where it cannot change the decision: counting reads all of a commit's directories.
    WhereItMatters,
}

/// The root is too small for a deployment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct RootShortage {
    /// The space that is free, and the space that is needed.
    pub space: Space,
    /// The most that removing each deployment would free: its place in the list, its name, bytes.
    pub frees: Vec<(usize, String, u64)>,
}

impl fmt::Display for RootShortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Space { free, needed, free_files, needed_files } = self.space;
        if needed > free {
            let missing = megabytes(needed.saturating_sub(free));
            write!(
                f,
                "/ostree has {} free and needs {}, {missing} more; ",
                megabytes(free),
                megabytes(needed)
            )?;
        } else {
            write!(f, "/ostree has room for {free_files} more files and needs {needed_files}; ")?;
        }
        if self.frees.is_empty() {
            return f
                .write_str("no deployment could go: remove files of others, or run `ostree admin cleanup`");
        }
        f.write_str("`ostree admin undeploy` of ")?;
        for (count, (index, name, bytes)) in self.frees.iter().enumerate() {
            let comma = if count > 0 { ", of " } else { "" };
            write!(f, "{comma}{index} ({name}) frees up to {}", megabytes(*bytes))?;
        }
        Ok(())
    }
}

/// Counts the space that a deployment takes of the root.
///
/// Errors: [`RootShortage`].
pub(crate) fn space_for(
    sysroot: &Sysroot,
    loaded: &Loaded,
    plan: &DeployPlan,
    switch: &SwitchPlan,
    counting: Counting,
) -> Result<Space> {
    let (mut space, block) = root_space(sysroot)?;
    let plenty = space.free >= PLENTY && space.free_files >= PLENTY_FILES;
    if plenty && counting == Counting::WhereItMatters {
        return Ok(space);
    }
    let census = CommitTree::open(sysroot.repo(), &plan.path.checksum)?.census()?;
    let blocks = |bytes: u64| bytes.div_ceil(block).saturating_mul(block);
    let names = census.links.saturating_mul(32);
    let etc = census.etc_bytes.iter().map(|bytes| blocks(*bytes)).fold(0, u64::saturating_add);
    let (changed, changed_files) = local_changes(sysroot, plan, block)?;
    let boot = if loaded.boot.boot_on_root {
        switch.space(sysroot.places(), &loaded.boot)?
    } else {
        Space { needed: 0, needed_files: 0, ..space }
    };
    space.needed =
        [census.directories.saturating_mul(block), blocks(names), etc, changed, boot.needed, MARGIN]
            .into_iter()
            .fold(0, u64::saturating_add);
    space.needed_files =
        census.directories + census.etc_files + changed_files + boot.needed_files + MARGIN_FILES;
    if !space.is_enough() {
        // The checkout cache that the new tree begins with is there, and goes if it does not serve.
        let there = sysroot.repo().count_cached_directories()?;
        space.free = space.free.saturating_add(there.saturating_mul(block));
        space.free_files = space.free_files.saturating_add(there);
    }
    if space.is_enough() {
        return Ok(space);
    }
    Err(RootShortage { space, frees: freed_by_undeploying(sysroot, loaded) }.into())
}

/// Reads the free space of the root, and the size of a block in bytes.
pub(crate) fn root_space(sysroot: &Sysroot) -> Result<(Space, u64)> {
    let fs = rustix::fs::fstatvfs(sysroot.root()).context("Asking for free space in /ostree")?;
    let block = fs.f_frsize.max(1);
    let free_files = if fs.f_files == 0 { u64::MAX } else { fs.f_favail };
    let free = fs.f_bavail.saturating_mul(block);
    Ok((Space { free, needed: 0, free_files, needed_files: 0 }, block))
}

/// Bytes in whole blocks and files that the merge of `/etc` adds.
fn local_changes(sysroot: &Sysroot, plan: &DeployPlan, block: u64) -> Result<(u64, u64)> {
    let Some(merge) = &plan.merge else { return Ok((0, 0)) };
    let etc = directory::open(sysroot.root(), &format!("{merge}/etc"))?;
    let usr = directory::open(sysroot.root(), &format!("{merge}/usr/etc"))?;
    let changes = etc_merge::Changes::between(usr.as_fd(), etc.as_fd())?;
    let sizes = changes.list.iter().map(|change| size_of(etc.as_fd(), &change.path, block));
    Ok(sizes.fold((0, 0), |(bytes, files), (more_bytes, more_files)| {
        (bytes.saturating_add(more_bytes), files.saturating_add(more_files))
    }))
}

/// Counts the bytes that each removable deployment has for itself alone, by the links of its files.
fn freed_by_undeploying(sysroot: &Sysroot, loaded: &Loaded) -> Vec<(usize, String, u64)> {
    // The object, the deployment's name, and what the checkout cache still has of it.
    let links = if sysroot.repo().has_checkout_cache().unwrap_or(false) { 3 } else { 2 };
    let may_go = loaded.deployments.iter().enumerate().filter(|(_, d)| !d.booted && !d.may_be_pinned());
    let freed = may_go.filter_map(|(index, d)| {
        let tree = directory::open(sysroot.root(), &d.path.to_string()).ok()?;
        let name = sysroot.version_of(&d.path).unwrap_or_else(|| d.path.name());
        Some((index, name, own_bytes(tree.as_fd(), links)))
    });
    freed.filter(|(.., bytes)| *bytes > 0).collect()
}

/// Bytes of the directories and of the files that have no more than so many links. What cannot be read is not counted.
fn own_bytes(tree: BorrowedFd<'_>, links: u64) -> u64 {
    let Ok(mut walk) = Walk::new(tree, Mounts::Keep) else { return 0 };
    let mut bytes: u64 = 0;
    loop {
        let seen = match walk.next() {
            Ok(Some(seen)) => seen,
            Ok(None) => return bytes,
            Err(_) => continue,
        };
        let Ok(stat) = rustix::fs::statat(seen.dir(), &seen.name, AtFlags::SYMLINK_NOFOLLOW) else {
            continue;
        };
        #[allow(clippy::useless_conversion, reason = "32 bits on some architectures")]
        let count = u64::from(stat.st_nlink);
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory || count <= links {
            bytes = bytes.saturating_add(u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512));
        }
    }
}

/// Bytes in whole blocks and files of something in `etc`, and of all in a directory that is listed as one.
fn size_of(etc: BorrowedFd<'_>, path: &Path, block: u64) -> (u64, u64) {
    let rounded =
        |stat: &Stat| u64::try_from(stat.st_size).unwrap_or_default().div_ceil(block).saturating_mul(block);
    let Ok(stat) = rustix::fs::statat(etc, path, AtFlags::SYMLINK_NOFOLLOW) else { return (0, 1) };
    let (mut bytes, mut files) = (rounded(&stat), 1);
    let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    if is_directory
        && etc_merge::is_one(path)
        && let Ok(dir) = directory::open_named(etc, path)
        && let Ok(mut walk) = Walk::new(dir, Mounts::Enter)
    {
        while let Ok(Some(seen)) = walk.next() {
            let stat = rustix::fs::statat(seen.dir(), &seen.name, AtFlags::SYMLINK_NOFOLLOW);
            bytes = bytes.saturating_add(stat.map_or(0, |stat| rounded(&stat)));
            files += 1;
        }
    }
    (bytes, files)
}
