// SPDX-License-Identifier: MIT OR Apache-2.0
//! The object store in a directory.
//!
//! ```text
//! repo/
//! ├── config              key file: mode and settings
//! ├── objects/ab/cdef….TYPE
//! ├── refs/{heads,remotes,mirrors}/…   one checksum a file
//! ├── state/              partial commits
//! ├── extensions/
//! ├── tmp/                staging directories, caches, and a tree for the next checkout
//! └── .lock               readers and writers share it, prune takes it alone
//! ```
//!
//! A [`Repo`] is opened once and used from any thread. Reading needs nothing else; writing goes through a
//! [`Transaction`], whose objects become visible together, after they are durable.
#![forbid(unsafe_code)]

mod bytes;
pub mod checkout;
pub mod commit;
mod config;
mod depth;
mod devino;
pub mod diff;
mod free_space;
pub mod fsck;
mod ignore;
mod init;
mod lock;
mod lookup;
mod mode;
mod open;
pub mod prune;
mod read;
mod refs;
mod remembered;
mod remote;
mod retired;
mod scan;
mod staging;
mod traverse;
pub mod tree;
mod write;
mod xattr;

pub use checkout::{CheckoutOptions, OverwriteMode};
pub use config::Settings;
pub use depth::{MAX_DEPTH, check_depth};
pub use devino::DevInoCache;
pub use ignore::PathSet;
pub use init::InitOptions;
pub use lock::{LockGuard, LockKind, try_lock};
pub use lookup::Entry;
pub use mode::Mode;
pub use open::Repo;
pub use read::{Content, LoadedFile};
pub use refs::{RefName, Refspec};
pub use remote::{IfExists, NewRemote, Remote, RemoteError, Remotes};
pub use traverse::{Depth, Reachable};
pub use write::{Stats, Transaction};

use formats::object::ObjectName;

/// What callers tell apart from other failures.
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
    NoFile(formats::Checksum),
    /// A commit without the parent that was asked for.
    #[error("Commit {0} has no parent")]
    NoParent(formats::Checksum),
    /// A path that a commit's tree does not have.
    #[error("No such file or directory: {0}")]
    NoPath(String),
    /// A tree that no system could use.
    #[error("Directories nest deeper than {} levels", depth::MAX_DEPTH)]
    TooDeep,
    /// The bytes of an object are not what its name says.
    #[error(
        "Corrupted object {name}: {reason}; remove it with `ostree fsck --delete`, then pull or commit it again"
    )]
    Corrupt {
        /// The object.
        name: ObjectName,
        /// What is wrong.
        reason: String,
    },
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
