// SPDX-License-Identifier: MIT OR Apache-2.0
//! Listing directories through descriptors.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context as _, Result};
use formats::object::{ObjectName, parse_loose};
use rustix::fs::{AtFlags, FileType, Mode, RawDir, openat, statat};
use rustix::io::Errno;

use crate::Repo;

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

impl Repo {
    /// Calls `found` with every loose object, the descriptor of the directory that holds it, and its name there.
    pub fn each_object(
        &self,
        mut found: impl FnMut(ObjectName, BorrowedFd<'_>, &str) -> Result<()>,
    ) -> Result<()> {
        self.each_object_with_inode(|name, dir, file, _| found(name, dir, file))
    }

    /// As [`Repo::each_object`], with the number of its inode.
    pub(crate) fn each_object_with_inode(
        &self,
        mut found: impl FnMut(ObjectName, BorrowedFd<'_>, &str, u64) -> Result<()>,
    ) -> Result<()> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        for (high, low) in DIGITS.iter().flat_map(|high| DIGITS.iter().map(move |low| (high, low))) {
            let fanout = String::from_iter([char::from(*high), char::from(*low)]);
            let dir = match openat(self.objects(), fanout.as_str(), crate::open::DIR_FLAGS, Mode::empty()) {
                Err(Errno::NOENT) => continue,
                dir => dir.with_context(|| format!("Opening objects/{fanout}"))?,
            };
            entries_with_inodes(&dir, |file, _, inode| match str::from_utf8(file) {
                Ok(file) => match parse_loose(&fanout, file) {
                    Some(name) => found(name, dir.as_fd(), file, inode),
                    None => Ok(()),
                },
                Err(_) => Ok(()),
            })?;
        }
        Ok(())
    }
}
