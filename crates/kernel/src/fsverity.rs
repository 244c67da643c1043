// SPDX-License-Identifier: MIT OR Apache-2.0
//! `FS_IOC_ENABLE_VERITY`: makes a file read-only for ever, and its contents checked with every read.
//!
//! See `Documentation/filesystems/fsverity` in the kernel.
#![allow(unsafe_code)]

use std::os::fd::BorrowedFd;

use rustix::io;
use rustix::ioctl::{Setter, ioctl, opcode};

/// `struct fsverity_enable_arg` of `include/uapi/linux/fsverity.h`.
#[repr(C)]
struct Enable {
    version: u32,
    hash_algorithm: u32,
    block_size: u32,
    salt_size: u32,
    salt: u64,
    signature_size: u32,
    reserved: u32,
    signature: u64,
    reserved_too: [u64; 11],
}

// The size is part of the number below.
const _: () = assert!(size_of::<Enable>() == 128);

/// `_IOW('f', 133, struct fsverity_enable_arg)`.
const FS_IOC_ENABLE_VERITY: rustix::ioctl::Opcode = opcode::write::<Enable>(b'f', 133);

/// Enables fs-verity on a file that is open for reading, and by nobody for writing: SHA-256 over blocks of 4096 bytes, without salt
/// and signature, as the C tools have it.
///
/// `EEXIST`: it is enabled. `ENOTTY`, `EOPNOTSUPP`: this file system or kernel has no fs-verity. `ETXTBSY`: somebody writes to it.
pub fn enable(file: BorrowedFd<'_>) -> io::Result<()> {
    const SHA256: u32 = 1;
    let argument = Enable {
        version: 1,
        hash_algorithm: SHA256,
        block_size: 4096,
        salt_size: 0,
        salt: 0,
        signature_size: 0,
        reserved: 0,
        signature: 0,
        reserved_too: [0; 11],
    };
    // SAFETY: the opcode reads one such struct, in which no pointer is set, and writes nothing; a file system that does not
    // know it says ENOTTY.
    unsafe { ioctl(file, Setter::<FS_IOC_ENABLE_VERITY, Enable>::new(argument)) }
}
