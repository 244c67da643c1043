// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one lock of a sysroot, `ostree/lock`, shared with the C tools.
//!
//! It is a lock like the repository's ([`try_lock`]), on a file that its holder removes before letting go. Whoever gets the lock therefore looks whether the name still leads to the file
//! that it has locked, and starts again if not. This is the protocol of libglnx, which the C tools use.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use repo::{LockKind, try_lock};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::reserve;
use crate::sysroot::Sysroot;

/// Where the lock is, below the sysroot.
const PATH: &str = "ostree/lock";

/// How often a lock that is taken is tried again.
const RETRY: Duration = Duration::from_millis(100);

/// The lock of a sysroot, held until this is dropped.
///
/// It borrows its [`Sysroot`]: a function that changes something takes the lock alone, and finds by it what it may change.
#[derive(Debug)]
pub struct Lock<'a> {
    sysroot: &'a Sysroot,
    _held: Held,
}

impl<'a> Lock<'a> {
    /// The sysroot that is locked.
    pub fn sysroot(&self) -> &'a Sysroot {
        self.sysroot
    }
}

impl Sysroot {
    /// Takes the lock; see [`Lock`]. Waits for as long as `core.lock-timeout-secs` of the repository says, and calls `on_wait`
    /// once if it has to.
    ///
    /// # Errors
    ///
    /// [`Locked`], or the file of the lock cannot be made.
    pub fn lock(&self, on_wait: impl FnOnce()) -> Result<Lock<'_>> {
        self.lock_within(None, on_wait)
    }

    /// Takes the lock as [`lock`](Self::lock) does, but waits no longer than `limit`.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn lock_within(&self, limit: Option<Duration>, on_wait: impl FnOnce()) -> Result<Lock<'_>> {
        let mut on_wait = Some(on_wait);
        let mut tell = || {
            if let Some(on_wait) = on_wait.take() {
                on_wait();
            }
        };
        // None of them is for ever.
        let patience = self.repo().settings().lock_timeout.into_iter().chain(limit).min();
        let held = match Held::take(self.root(), patience, &mut tell) {
            // It is a file, too.
            Err(error) if error.downcast_ref() == Some(&Errno::NOSPC) => {
                reserve::release(self.places());
                Held::take(self.root(), patience, &mut tell)
            }
            taken => taken,
        };
        Ok(Lock { sysroot: self, _held: held? })
    }
}

/// The locked file.
#[derive(Debug)]
struct Held {
    root: OwnedFd,
    _file: OwnedFd,
}

/// Another process has the lock, and kept it for as long as we were willing to wait.
#[derive(Debug, thiserror::Error)]
#[error("ostree/lock is held by another process: wait until it has finished, then try again")]
pub struct Locked;

impl Held {
    /// Takes the lock of the sysroot at `root`. If it is held, `on_wait` is called once, and it is tried again
    /// for as long as `patience` lasts (`None`: for ever).
    fn take(root: BorrowedFd<'_>, patience: Option<Duration>, on_wait: impl FnOnce()) -> Result<Self> {
        let started = Instant::now();
        let mut on_wait = Some(on_wait);
        loop {
            if let Some(file) = try_take(root).context("Locking ostree/lock")? {
                return Ok(Self { root: root.try_clone_to_owned()?, _file: file });
            }
            if let Some(tell) = on_wait.take() {
                tell();
            }
            if patience.is_some_and(|patience| started.elapsed() >= patience) {
                return Err(Locked.into());
            }
            std::thread::sleep(RETRY);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // While we hold the lock the name is ours to remove; if that fails, the file stays and can be locked.
        if let Err(error) = rustix::fs::unlinkat(&self.root, PATH, AtFlags::empty()) {
            log::debug!("Removing {PATH}: {error}");
        }
    }
}

/// One attempt; `None` if somebody else has it, or removed the file while we were about to lock it.
fn try_take(root: BorrowedFd<'_>) -> Result<Option<OwnedFd>> {
    let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NOFOLLOW;
    let file = rustix::fs::openat(root, PATH, flags, Mode::from_raw_mode(0o660))?;
    if !try_lock(&file, LockKind::Exclusive)? {
        return Ok(None);
    }
    let held = rustix::fs::fstat(&file)?;
    match rustix::fs::statat(root, PATH, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(named) if (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino) => Ok(Some(file)),
        Ok(_) | Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    fn sysroot() -> (tempfile::TempDir, std::fs::File) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("ostree")).unwrap();
        let root = std::fs::File::open(dir.path()).unwrap();
        (dir, root)
    }

    #[test]
    fn a_second_holder_is_refused_and_the_file_goes() {
        let (dir, root) = sysroot();
        let held = Held::take(root.as_fd(), None, || panic!("nobody else is here")).unwrap();
        let mut waited = false;
        let error = Held::take(root.as_fd(), Some(Duration::ZERO), || waited = true).unwrap_err();
        assert!(error.is::<Locked>(), "{error:#}");
        assert!(waited);
        drop(held);
        assert!(!dir.path().join(PATH).exists());
        Held::take(root.as_fd(), Some(Duration::ZERO), || panic!("it was let go")).unwrap();
    }

    #[test]
    fn a_waiter_does_not_hold_a_removed_file() {
        let (_dir, root) = sysroot();
        let held = Held::take(root.as_fd(), None, || ()).unwrap();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| Held::take(root.as_fd(), None, || ()).unwrap());
            std::thread::sleep(RETRY / 2);
            drop(held);
            let second = waiter.join().unwrap();
            assert!(Held::take(root.as_fd(), Some(Duration::ZERO), || ()).is_err());
            drop(second);
        });
    }
}
