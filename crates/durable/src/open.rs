// SPDX-License-Identifier: MIT OR Apache-2.0
//! Opening a file that somebody else may have replaced, or still holds, and a directory that may be something else by now.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::path::Arg;

/// The flags that every directory is opened with here: as a directory, and not through a link.
pub(crate) const DIRECTORY: OFlags =
    OFlags::DIRECTORY.union(OFlags::RDONLY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

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

/// Opens a directory below another on the same mount, through no link: `EXDEV` if something else is mounted there, be it of the
/// same device. Whoever removes things goes by this.
pub fn open_on_mount(dir: impl AsFd, path: impl Arg + Copy) -> Result<OwnedFd, Errno> {
    let dir = dir.as_fd();
    let resolve = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH;
    match rustix::fs::openat2(dir, path, DIRECTORY, Mode::empty(), resolve) {
        // Before Linux 5.6, or forbidden by a filter that does not know it: see at least that it is one device.
        Err(Errno::NOSYS | Errno::PERM) => {
            let opened = rustix::fs::openat(dir, path, DIRECTORY, Mode::empty())?;
            let same = rustix::fs::fstat(&opened)?.st_dev == rustix::fs::fstat(dir)?.st_dev;
            if same { Ok(opened) } else { Err(Errno::XDEV) }
        }
        other => other,
    }
}
