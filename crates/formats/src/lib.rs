// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bytes to types and back, a module a format. No file system, no network: a parser takes what was read
//! before, and says what is wrong with it.
//!
//! ```
//! use formats::bls::{Entry, EntryName};
//! use formats::bootlink::Bootlink;
//! use formats::kernel_args::KernelArgs;
//!
//! let checksum = "4fd0".repeat(16);
//! let text = format!(
//!     "title Debian GNU/Linux 13 (ostree:0)\n\
//!      version 2\n\
//!      linux /ostree/debian-{checksum}/vmlinuz-6.12.0\n\
//!      options root=LABEL=root rw ostree=/ostree/boot.1/debian/{checksum}/0\n"
//! );
//! let entry = Entry::parse(&text)?;
//! let name: EntryName = "ostree-2+3-1.conf".parse()?;
//! assert_eq!(entry.title(), Some("Debian GNU/Linux 13 (ostree:0)"));
//! assert_eq!(name.tries.map(|tries| tries.left), Some(3));
//!
//! let arguments = KernelArgs::parse(&entry.options());
//! let link: Bootlink = arguments.last("ostree").flatten().unwrap_or_default().parse()?;
//! assert_eq!((link.stateroot.as_str(), link.boot_serial), ("debian", 0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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
