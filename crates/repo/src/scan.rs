// SPDX-License-Identifier: MIT OR Apache-2.0
//! Listing directories through descriptors.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use formats::object::{ObjectName, parse_loose};
use rustix::fs::{AtFlags, FileType, Mode, RawDir, openat, statat};
use rustix::io::Errno;

use crate::Repo;
use crate::stamp::Stamp;

/// Room for some hundred entries a call.
const BUFFER: usize = 32 * 1024;

/// Calls `found` with the name and kind of every entry of an open directory but `.` and `..`.
pub(crate) fn entries(dir: impl AsFd, mut found: impl FnMut(&[u8], FileType) -> Result<()>) -> Result<()> {
    entries_with_inodes(dir, |name, kind, _| found(name, kind))
}

/// As [`entries`], with the number of each inode as the directory states it: of what a mount point hides, not of what is mounted
/// there. Where the file system does not tell the kind, it is asked for.
pub(crate) fn entries_with_inodes(
    dir: impl AsFd,
    mut found: impl FnMut(&[u8], FileType, u64) -> Result<()>,
) -> Result<()> {
    let dir = dir.as_fd();
    let mut buffer = [MaybeUninit::<u8>::uninit(); BUFFER];
    let mut listing = RawDir::new(dir, &mut buffer);
    while let Some(entry) = listing.next() {
        let entry = entry.context("Listing a directory")?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::Unknown => {
                FileType::from_raw_mode(statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode)
            }
            kind => kind,
        };
        found(name.to_bytes(), kind, entry.ino())?;
    }
    Ok(())
}

/// Lists a directory of a tree that is committed: names and kinds, in the kernel's order. `shown` names it in errors.
///
/// # Errors
/// A name that is not UTF-8, which no tree can have.
pub(crate) fn tree_entries(dir: impl AsFd, shown: impl Fn() -> String) -> Result<Vec<(String, FileType)>> {
    let mut found = Vec::with_capacity(32);
    entries(dir, |name, kind| {
        found.push((name.to_vec(), kind));
        Ok(())
    })
    .with_context(&shown)?;
    let text = |(name, kind)| match String::from_utf8(name) {
        Ok(name) => Ok((name, kind)),
        Err(_) => bail!("{}: a file name is not UTF-8; rename it", shown()),
    };
    found.into_iter().map(text).collect()
}

impl Repo {
    /// Calls `found` with every loose object, the descriptor of the directory that holds it, and its name there.
    pub fn each_object(
        &self,
        mut found: impl FnMut(ObjectName, BorrowedFd<'_>, &str) -> Result<()>,
    ) -> Result<()> {
        for fanout in 0..=u8::MAX {
            if let Some(dir) = self.open_fanout(fanout)? {
                each_in(fanout, &dir, |name, file, _| found(name, dir.as_fd(), file))?;
            }
        }
        Ok(())
    }

    /// Calls `found` with every loose object and its inode. While trees are remembered, a directory that has not changed since the
    /// last time is not read again.
    pub(crate) fn each_inode(&self, mut found: impl FnMut(ObjectName, u64)) -> Result<()> {
        for fanout in 0..=u8::MAX {
            let Some(dir) = self.open_fanout(fanout)? else { continue };
            let stamp = Stamp::of(&dir).with_context(|| format!("Looking at objects/{fanout:02x}"))?;
            let objects = match self.remembered().listing(fanout, &stamp) {
                Some(objects) => objects,
                None => {
                    let mut objects = Vec::new();
                    each_in(fanout, &dir, |name, _, inode| {
                        objects.push((name, inode));
                        Ok(())
                    })?;
                    let objects: Arc<[_]> = objects.into();
                    self.remembered().put_listing(fanout, stamp, &objects);
                    objects
                }
            };
            objects.iter().for_each(|(name, inode)| found(*name, *inode));
        }
        Ok(())
    }

    fn open_fanout(&self, fanout: u8) -> Result<Option<OwnedFd>> {
        let name = format!("{fanout:02x}");
        match openat(self.objects(), name.as_str(), crate::dirs::DIR_FLAGS, Mode::empty()) {
            Err(Errno::NOENT) => Ok(None),
            dir => dir.map(Some).with_context(|| format!("Opening objects/{name}")),
        }
    }
}

/// The objects of a fan-out directory: each with the name of its file and its inode.
fn each_in(
    fanout: u8,
    dir: &OwnedFd,
    mut found: impl FnMut(ObjectName, &str, u64) -> Result<()>,
) -> Result<()> {
    let fanout = format!("{fanout:02x}");
    entries_with_inodes(dir, |file, _, inode| match str::from_utf8(file) {
        Ok(file) => match parse_loose(&fanout, file) {
            Some(name) => found(name, file, inode),
            None => Ok(()),
        },
        Err(_) => Ok(()),
    })
}
