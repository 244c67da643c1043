// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bytes to types and back, a module a format. No file system, no network: a parser takes what was read
//! elsewhere, and says what is wrong with it.
#![forbid(unsafe_code)]

pub mod bls;
pub mod bootlink;
pub mod checksum;
pub mod cpio;
pub mod date;
pub mod etc_policy;
#[cfg(feature = "file-contexts")]
pub mod file_contexts;
pub mod grubenv;
pub mod gvariant;
pub mod kernel_args;
pub mod keyfile;
pub mod object;
pub mod os_release;
pub mod run_state;
pub mod staged;
pub mod version;

pub use checksum::{Checksum, Hasher};
