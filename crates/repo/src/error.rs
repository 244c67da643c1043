// SPDX-License-Identifier: MIT OR Apache-2.0
//! The errors of a repository that callers tell apart.

use formats::Checksum;
use formats::object::{ObjectName, ObjectType};

/// The failures that callers tell apart from others.
#[derive(Debug, thiserror::Error)]
pub enum RepoError {
    /// No ref or commit of that name.
    #[error("Refspec '{0}' not found")]
    RefNotFound(String),
    /// A ref name with characters that none has.
    #[error("Invalid refspec {0}")]
    InvalidRef(String),
    /// The repository lacks an object.
    #[error("No such metadata object {0}")]
    NoMetadata(ObjectName),
    /// The repository lacks a file.
    #[error("Couldn't find file object '{0}'")]
    NoFile(Checksum),
    /// A commit without the parent that was asked for.
    #[error("Commit {0} has no parent")]
    NoParent(Checksum),
    /// A path that a commit's tree does not have.
    #[error("No such file or directory: {0}")]
    NoPath(String),
    /// A tree that no system could use: it has more levels than this.
    #[error("Directories nest deeper than {0} levels")]
    TooDeep(usize),
    /// The bytes of an object are not what its name says.
    #[error(
        "Corrupted object {name}: {reason}; remove it with `ostree fsck --delete`, then pull or commit it again"
    )]
    Corrupt {
        /// The object.
        name: ObjectName,
        /// The reason, for a person.
        reason: String,
    },
    /// The caller's [`Progress`](crate::Progress) has ended the work.
    #[error("Operation was cancelled")]
    Cancelled,
    /// Another process holds the lock.
    #[error(
        "Locking repository {path}: another process holds .lock since {seconds} s; wait for it, or raise \
         core.lock-timeout-secs"
    )]
    Locked {
        /// The repository.
        path: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The commit would eat into the free space that is kept.
    #[error(
        "{limit} would be exceeded, at least {needed} bytes requested; free space or lower the limit in config"
    )]
    FreeSpace {
        /// The setting, such as `min-free-space-percent '3%'`.
        limit: String,
        /// Bytes of the object that did not fit.
        needed: u64,
    },
}

impl RepoError {
    /// An object that is not there.
    pub(crate) fn missing(name: ObjectName) -> Self {
        match name.kind {
            ObjectType::File => Self::NoFile(name.checksum),
            _ => Self::NoMetadata(name),
        }
    }
}
