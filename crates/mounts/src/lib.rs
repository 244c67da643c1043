// SPDX-License-Identifier: MIT OR Apache-2.0
//! The safe face of libmount: `fstab(5)` and the mount table.
//!
//! libmount and nothing of our own reads these files, so that a line means to us what it means to `mount`. It is
//! a shared library: what is linked with this crate belongs into the real root, not into the static program of
//! the initramfs.

mod table;

pub use table::{Entry, Table};
