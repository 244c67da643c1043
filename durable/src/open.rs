// SPDX-License-Identifier: MIT OR Apache-2.0
//! Opening a file that somebody else may have replaced, or still holds.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::path::Arg;

/// Opens the file at `path` below `dir` for reading; `more` are further flags, such as `NOFOLLOW`.
///
/// A pipe or a device that has the name now is not waited for. Whoever has a lease on the file is: the kernel tells
/// the holder, and takes the lease away after `/proc/sys/fs/lease-break-time` (`fcntl(2)`).
pub fn open_to_read(dir: impl AsFd, path: impl Arg + Copy, more: OFlags) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | more;
    match rustix::fs::openat(&dir, path, flags | OFlags::NONBLOCK, Mode::empty()) {
        Err(Errno::AGAIN) => rustix::fs::openat(&dir, path, flags, Mode::empty()),
        opened => opened,
    }
}
