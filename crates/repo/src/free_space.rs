// SPDX-License-Identifier: MIT OR Apache-2.0
//! The space of the file system that commits leave free.

use anyhow::{Context as _, Result};
use rustix::fs::{StatVfs, fstatvfs};

use crate::config::MinFree;
use crate::{Repo, RepoError};

impl Repo {
    /// The bytes that are free for anybody on the file system of the repository.
    pub(crate) fn free_space(&self) -> Result<u64> {
        Ok(free(&fstatvfs(self.dir()).context("Asking for free space")?))
    }
}

fn free(stat: &StatVfs) -> u64 {
    stat.f_bavail.saturating_mul(stat.f_frsize.max(1))
}

/// The bytes that a transaction may still write. Metadata is exempt, so that a full repository can still be emptied.
#[derive(Debug)]
pub(crate) struct Allowance {
    left: u64,
    block: u64,
    limit: String,
}

impl Allowance {
    pub(crate) fn of(repo: &Repo) -> Result<Self> {
        let stat = fstatvfs(repo.dir()).context("Asking for free space")?;
        let block = stat.f_frsize.max(1);
        let free = free(&stat);
        let (keep, limit) = match repo.settings().min_free {
            MinFree::Bytes(bytes) => (bytes, format!("min-free-space-size '{bytes}'")),
            MinFree::Percent(percent) => {
                let all = stat.f_blocks.saturating_mul(block);
                (all / 100 * percent, format!("min-free-space-percent '{percent}%'"))
            }
        };
        // Nothing to keep means no bound either: the file system says when it is full.
        let left = if keep == 0 { u64::MAX } else { free.saturating_sub(keep) };
        Ok(Self { left, block, limit })
    }

    /// Takes the space for a file of `len` bytes.
    pub(crate) fn take(&mut self, len: u64) -> Result<(), RepoError> {
        let needed = len.div_ceil(self.block).saturating_mul(self.block);
        match self.left.checked_sub(needed) {
            Some(left) => self.left = left,
            None => return Err(RepoError::FreeSpace { limit: self.limit.clone(), needed }),
        }
        Ok(())
    }
}
