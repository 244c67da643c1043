// SPDX-License-Identifier: MIT OR Apache-2.0
//! The files in an initramfs that decide about the boot: bytes in, findings out.
//!
//! The initramfs has copies of `prepare-root.conf`, of public keys and of `ostree-prepare-root`, and the boot goes by
//! these copies. [`read`] finds them in an initramfs; a [`Record`] keeps the findings beside it, so that
//! a deployment need not unpack it again.
//!
//! ```
//! // A cpio archive in the format `newc` without a file: its trailer alone.
//! let trailer = [&b"070701"[..], &[b'0'; 88], b"0000000b00000000", b"TRAILER!!!\0\0\0\0"].concat();
//! let contents = initramfs::read(&trailer[..])?;
//! assert_eq!(contents.program, None);
//! assert!(contents.config.is_empty());
//! # Ok::<(), anyhow::Error>(())
//! ```
#![forbid(unsafe_code)]

mod contents;
mod read;
mod record;

pub use contents::{CONFIG, Contents, MAX_CONFIG, PROGRAM};
pub use read::read;
pub use record::Record;
