// SPDX-License-Identifier: MIT OR Apache-2.0
//! Listing directories through descriptors.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use formats::object::{ObjectName, parse_loose};
use rustix::fs::{AtFlags, FileType, Mode, RawDir, StatxFlags, openat, statat, statx};
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
        match openat(self.objects(), name.as_str(), crate::open::DIR_FLAGS, Mode::empty()) {
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

/// What changes with a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    inode: u64,
    /// Seconds and nanoseconds.
    changed: (i64, u32),
}

impl Stamp {
    fn of(dir: &OwnedFd) -> Result<Self> {
        let stat = statx(dir, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)?;
        Ok(Self { inode: stat.stx_ino, changed: (stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec) })
    }

    #[cfg(test)]
    pub(crate) fn at(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { inode: 1, changed: (i64::try_from(since.as_secs()).unwrap_or_default(), since.subsec_nanos()) }
    }

    /// Whether a change after this one would have another time: clocks of file systems tick some hundred times a second.
    pub(crate) fn is_settled(&self) -> bool {
        let since = u64::try_from(self.changed.0).map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
        since.is_ok_and(|then| SystemTime::now().duration_since(then).is_ok_and(|age| age > SETTLED))
    }
}

/// Longer than any tick.
const SETTLED: Duration = Duration::from_secs(2);
