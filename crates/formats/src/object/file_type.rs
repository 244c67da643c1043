// SPDX-License-Identifier: MIT OR Apache-2.0
//! The file type bits of a mode, as `inode(7)` has them.

/// Mask of these bits.
pub(super) const S_IFMT: u32 = 0o170_000;
pub(super) const S_IFREG: u32 = 0o100_000;
pub(super) const S_IFLNK: u32 = 0o120_000;
pub(super) const S_IFDIR: u32 = 0o040_000;
