// SPDX-License-Identifier: MIT OR Apache-2.0
//! The repository's lock: an open-file-description lock on `.lock`, as the C tools take it, so that both
//! respect each other. File systems without such locks get `flock`.

use std::os::fd::{AsFd, OwnedFd};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, openat};

use crate::{Repo, RepoError};

/// Name of the lock file.
const LOCK: &str = ".lock";
/// How often a held lock is tried again.
const RETRY: Duration = Duration::from_millis(100);

/// The holders that may have the lock at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockKind {
    /// Readers, and writers that only add objects.
    Shared,
    /// One process that deletes objects.
    Exclusive,
}

/// The lock, held until this is dropped; nothing where the configuration turns locks off or the caller
/// cannot write to the repository anyway.
#[derive(Debug)]
#[must_use]
pub struct LockGuard(
    #[expect(dead_code, reason = "closing the descriptor is what releases the lock")] Option<OwnedFd>,
);

impl Repo {
    /// Takes the lock together with other readers and writers; waits as `core.lock-timeout-secs` says.
    pub fn lock_shared(&self) -> Result<LockGuard> {
        self.lock(LockKind::Shared)
    }

    /// Takes the lock alone; waits as `core.lock-timeout-secs` says.
    pub fn lock_exclusive(&self) -> Result<LockGuard> {
        self.lock(LockKind::Exclusive)
    }

    fn lock(&self, kind: LockKind) -> Result<LockGuard> {
        if !self.settings().locking {
            return Ok(LockGuard(None));
        }
        // Same mode as the C tools create it with: who shares the group may lock.
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = openat(self.dir(), LOCK, flags, Mode::from_raw_mode(0o660));
        let file = file.with_context(|| format!("Opening {}/{LOCK}", self.path().display()))?;
        let (start, mut told) = (Instant::now(), false);
        while !try_lock(&file, kind).with_context(|| format!("Locking {}", self.path().display()))? {
            match self.settings().lock_timeout {
                Some(timeout) if start.elapsed() >= timeout => {
                    let path = self.path().display().to_string();
                    return Err(RepoError::Locked { path, seconds: timeout.as_secs() }.into());
                }
                _ => {
                    if !std::mem::replace(&mut told, true) {
                        log::warn!(
                            "Waiting for {}/{LOCK}, which another process holds",
                            self.path().display()
                        );
                    }
                    sleep(RETRY);
                }
            }
        }
        Ok(LockGuard(Some(file)))
    }
}

/// Whether the lock on an open file was free and is now ours, until the last copy of the descriptor is closed.
pub fn try_lock(file: impl AsFd, kind: LockKind) -> Result<bool> {
    let lock_type = match kind {
        LockKind::Shared => nix::libc::F_RDLCK,
        LockKind::Exclusive => nix::libc::F_WRLCK,
    };
    let range = nix::libc::flock {
        l_type: i16::try_from(lock_type)?,
        l_whence: i16::try_from(nix::libc::SEEK_SET)?,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    match fcntl(file.as_fd(), FcntlArg::F_OFD_SETLK(&range)) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        // Kernels before 3.15, and some network file systems.
        Err(Errno::EINVAL | Errno::ENOLCK | Errno::EOPNOTSUPP) => {
            let operation = match kind {
                LockKind::Shared => FlockOperation::NonBlockingLockShared,
                LockKind::Exclusive => FlockOperation::NonBlockingLockExclusive,
            };
            match flock(file, operation) {
                Ok(()) => Ok(true),
                Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
                Err(error) => Err(error.into()),
            }
        }
        Err(error) => Err(error.into()),
    }
}
