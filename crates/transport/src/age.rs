// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether a commit is older than another: who can make a system pull an old commit can bring back old holes.

use anyhow::Result;
use formats::{Checksum, date};
use repo::Repo;

/// A commit that is older than the one it would replace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "Upgrade target revision '{target}' with timestamp '{}' is chronologically older than current revision \
     '{current}' with timestamp '{}'; use --allow-downgrade to permit",
    date::format_ctime(*.target_time),
    date::format_ctime(*.current_time)
)]
pub struct Downgrade {
    /// The older commit.
    pub target: Checksum,
    /// When it was made, in seconds since 1970.
    pub target_time: u64,
    /// The younger one.
    pub current: Checksum,
    /// When that was made.
    pub current_time: u64,
}

/// Refuses the commit `target` of `source` if it is older than the commit `current` of `repo`.
///
/// Errors: [`Downgrade`]; a commit that cannot be read.
pub fn check_not_older(repo: &Repo, current: &Checksum, source: &Repo, target: &Checksum) -> Result<()> {
    let current_time = repo.load_commit(current)?.timestamp;
    let target_time = source.load_commit(target)?.timestamp;
    if target_time < current_time {
        return Err(Downgrade { target: *target, target_time, current: *current, current_time }.into());
    }
    Ok(())
}
