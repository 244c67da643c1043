// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether a directory has changed since it was listed.

use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use rustix::fs::{AtFlags, StatxFlags, statx};

/// The inode of a directory and the time of its last change: two stamps are equal while it is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    inode: u64,
    /// Seconds and nanoseconds.
    changed: (i64, u32),
}

impl Stamp {
    pub(crate) fn of(dir: &OwnedFd) -> Result<Self> {
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
