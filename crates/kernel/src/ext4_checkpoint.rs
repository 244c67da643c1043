// SPDX-License-Identifier: MIT OR Apache-2.0
//! `EXT4_IOC_CHECKPOINT`: writes what the journal holds to its place in the file system.
//!
//! A boot loader reads ext4 without replaying its journal, so what only the journal holds is not there for
//! it. Freezing the file system has the same effect, but leaves it frozen if the caller dies in between.
//!
//! Since Linux 5.14; needs `CAP_SYS_ADMIN`. See `Documentation/filesystems/ext4/ioctl` in the kernel.
#![allow(unsafe_code)]

use std::os::fd::BorrowedFd;

use rustix::io;
use rustix::ioctl::{Setter, ioctl, opcode};

/// `_IOW('f', 43, __u32)` of `include/uapi/linux/ext4.h`.
const EXT4_IOC_CHECKPOINT: rustix::ioctl::Opcode = opcode::write::<u32>(b'f', 43);

/// Commits the running transaction of the ext4 that holds `file` and empties its journal, with a flush of the
/// device at the end.
///
/// `ENOTTY`: the kernel is older than 5.14, or this is no ext4. `ENODEV`: this ext4 has no journal.
/// `EPERM`: without `CAP_SYS_ADMIN`.
pub fn ext4_checkpoint(file: BorrowedFd<'_>) -> io::Result<()> {
    // Neither discard nor zero the journal's blocks: that takes time and changes nothing for a reader.
    const FLAGS: u32 = 0;
    // SAFETY: the opcode reads one u32 and writes nothing; a file system that does not know it says ENOTTY.
    unsafe { ioctl(file, Setter::<EXT4_IOC_CHECKPOINT, u32>::new(FLAGS)) }
}
