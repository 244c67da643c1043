// SPDX-License-Identifier: MIT OR Apache-2.0
//! The directories that everything is below.

use std::os::fd::BorrowedFd;

/// The two directories that everything is below.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// The physical root: has `ostree/`.
    pub root: BorrowedFd<'a>,
    /// `/boot`, on that file system or one of its own.
    pub boot: BorrowedFd<'a>,
}
