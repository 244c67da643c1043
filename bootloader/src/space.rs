// SPDX-License-Identifier: MIT OR Apache-2.0
//! The space of `/boot`, before anything is written there.
//!
//! The old set and its boot files stay until the new one is proven, so both have to fit. What is counted: each file in whole blocks
//! (kernels, initrds, each of a directory of device trees, entries, and what a loader reads beside them), a block for each new directory, and
//! a margin for what the file system needs itself.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::places::Places;
use crate::plan::SwitchPlan;
use crate::prestaged;
use crate::settings::Settings;
use crate::state::BootState;

/// For growing directories and the file system's own bookkeeping, in bytes.
const MARGIN: u64 = 256 << 10;

/// `/boot` is too small for a switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Shortage {
    /// Bytes that are free.
    pub free: u64,
    /// Bytes of what has to be written, in whole blocks.
    pub needed: u64,
    /// Files that can still be made; unbounded where the file system makes room for them as it goes.
    pub free_files: u64,
    /// Files that have to be made.
    pub needed_files: u64,
    /// A way to make room.
    pub frees: Vec<Frees>,
}

/// The space of a file system, and what a plan takes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Space {
    /// Bytes that are free.
    pub free: u64,
    /// Bytes of what has to be written, in whole blocks.
    pub needed: u64,
    /// Files that can still be made; unbounded where the file system makes room for them as it goes.
    pub free_files: u64,
    /// Files that have to be made.
    pub needed_files: u64,
}

impl Space {
    /// Whether all of it fits.
    pub fn is_enough(&self) -> bool {
        self.needed <= self.free && self.needed_files <= self.free_files
    }
}

/// The space that the removal of one deployment would free.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Frees {
    /// The title of its entry, which has its number in the boot menu.
    pub title: String,
    /// Bytes of the boot files that only it has.
    pub bytes: u64,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.needed > self.free {
            let missing = self.needed.saturating_sub(self.free);
            let [free, needed, missing] = [self.free, self.needed, missing].map(megabytes);
            write!(f, "/boot has {free} free and needs {needed}, {missing} more; ")?;
        } else {
            let (free, needed) = (self.free_files, self.needed_files);
            write!(f, "/boot has room for {free} more files and needs {needed}; ")?;
        }
        if self.frees.is_empty() {
            return write!(f, "remove files of others there, or make it larger: no deployment could go");
        }
        write!(f, "`ostree admin undeploy` of ")?;
        for (index, one) in self.frees.iter().enumerate() {
            let comma = if index > 0 { ", of " } else { "" };
            write!(f, "{comma}{} frees {}", one.title, megabytes(one.bytes))?;
        }
        Ok(())
    }
}

/// Bytes for a person. Rounded up: nobody frees too little by it.
pub fn megabytes(bytes: u64) -> String {
    let tenths = bytes.div_ceil(100_000);
    format!("{}.{} MB", tenths / 10, tenths % 10)
}

impl SwitchPlan {
    /// Returns the space that is missing in `/boot` to carry the plan out, if any is.
    pub fn shortage(
        &self,
        places: Places<'_>,
        state: &BootState,
        settings: &Settings,
    ) -> Result<Option<Shortage>> {
        let (space, block) = self.space_in_blocks(places, state)?;
        if space.is_enough() {
            return Ok(None);
        }
        let Space { free, needed, free_files, needed_files } = space;
        let frees = frees(state, settings, block);
        Ok(Some(Shortage { free, needed, free_files, needed_files, frees }))
    }

    /// The space of `/boot`, and what the plan takes of it until it sweeps.
    pub fn space(&self, places: Places<'_>, state: &BootState) -> Result<Space> {
        self.space_in_blocks(places, state).map(|(space, _)| space)
    }

    fn space_in_blocks(&self, places: Places<'_>, state: &BootState) -> Result<(Space, u64)> {
        let fs = rustix::fs::fstatvfs(places.boot).context("Asking for free space in /boot")?;
        let block = fs.f_frsize.max(1);
        let (ahead, ahead_files) = prestaged::occupied(places.boot, block)?;
        let free = fs.f_bavail.saturating_mul(block).saturating_add(ahead);
        // btrfs and FAT have no fixed number of files, and say 0.
        let free_files = if fs.f_files == 0 { u64::MAX } else { fs.f_favail.saturating_add(ahead_files) };
        let nothing = self.copy.is_empty() && self.entries.is_empty();
        let (needed, needed_files) = if nothing { (0, 0) } else { self.needed(state, block) };
        Ok((Space { free, needed, free_files, needed_files }, block))
    }

    /// Bytes in whole blocks, with the margin, and files. Where a file becomes a link to the deployment's, none for it.
    fn needed(&self, state: &BootState, block: u64) -> (u64, u64) {
        let linked = |from: &str| state.boot_on_root && !from.starts_with('/');
        let copies: Vec<_> = self.copy.iter().filter(|copy| !linked(&copy.from)).collect();
        if state.boot_on_root && copies.is_empty() {
            // The rest is little, and the root's file system is not filled to the last block.
            return (0, 0);
        }
        let texts = self.entries.iter().chain(&self.native).map(|file| file.text.len() as u64);
        let files = copies.iter().map(|copy| copy.size).chain(texts);
        let paths = copies.iter().map(|copy| copy.to.as_str());
        let dirs: BTreeSet<&str> = paths.flat_map(parents).filter(|dir| !is_there(state, dir)).collect();
        // The directories of the set, and a block for each link and for the stamp.
        const OWN: u64 = 6;
        let own = dirs.len() as u64 + OWN;
        let (mut blocks, mut count) = (own, own);
        for size in files {
            blocks = blocks.saturating_add(size.div_ceil(block));
            count += 1;
        }
        // A menu of what is there is as large as the one before: it must be possible where next to nothing is free.
        let margin = if copies.is_empty() { 0 } else { MARGIN };
        (blocks.saturating_mul(block).saturating_add(margin), count)
    }
}

/// Bytes of those boot files that lie at these paths, which begin with `/boot/ostree/`; other paths count for nothing.
pub fn boot_bytes(places: Places<'_>, state: &BootState, paths: &[String]) -> Result<u64> {
    let block = rustix::fs::fstatvfs(places.boot).context("Asking for free space in /boot")?.f_frsize.max(1);
    let dirs = paths.iter().filter_map(|path| path.strip_prefix("/boot/ostree/"));
    Ok(dirs.map(|dir| size_of(state, dir, block)).fold(0, u64::saturating_add))
}

/// The directories on the way to a file.
fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').filter_map(|(at, _)| path.get(..at))
}

fn is_there(state: &BootState, dir: &str) -> bool {
    let Some(below) = dir.strip_prefix("ostree/") else { return !state.boot_dirs.is_empty() };
    let (name, rest) = below.split_once('/').unwrap_or((below, ""));
    let prefix = format!("{rest}/");
    let has = |file: &String| rest.is_empty() || file.starts_with(&prefix);
    state.boot_dirs.get(name).is_some_and(|files| files.keys().any(has))
}

/// A directory in `/boot/ostree`, or a file in one of them.
fn size_of(state: &BootState, path: &str, block: u64) -> u64 {
    let (dir, file) = path.split_once('/').unwrap_or((path, ""));
    let files = state.boot_dirs.get(dir).into_iter().flatten();
    let sizes = files.filter(|(name, _)| file.is_empty() || *name == file).map(|(_, size)| *size);
    sizes.map(|size| size.div_ceil(block).saturating_mul(block)).fold(0, u64::saturating_add)
}

/// Lists the space that deployments have for themselves alone; never that of the running system.
fn frees(state: &BootState, settings: &Settings, block: u64) -> Vec<Frees> {
    let texts: Vec<String> = state.entries.iter().map(|entry| entry.entry.to_string()).collect();
    let named_by = |index: usize, name: &str| {
        let others = texts.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, text)| text);
        let foreign =
            state.foreign.iter().filter(|file| file.path.starts_with("entries/")).map(|file| &file.text);
        texts.get(index).is_some_and(|text| text.contains(name))
            && !others.chain(foreign).any(|text| text.contains(name))
    };
    let mut found = Vec::new();
    for (index, entry) in state.entries.iter().enumerate() {
        if settings.running.as_ref() == Some(&entry.bootlink) {
            continue;
        }
        let overlays = state.boot_dirs.get("initramfs-overlays").into_iter().flatten();
        let overlays = overlays.map(|(name, _)| (format!("initramfs-overlays/{name}"), name));
        let dirs = state.boot_dirs.keys().map(|name| (name.clone(), name));
        let own = dirs.chain(overlays).filter(|(_, name)| named_by(index, name));
        let bytes = own.map(|(path, _)| size_of(state, &path, block)).fold(0, u64::saturating_add);
        if bytes > 0 {
            found.push(Frees { title: entry.entry.title().unwrap_or_default().to_owned(), bytes });
        }
    }
    found
}
