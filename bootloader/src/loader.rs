// SPDX-License-Identifier: MIT OR Apache-2.0
//! Boot loaders: which one is there, what it reads beside the entries, and what it would make of it.
//!
//! ```text
//! detect        which loader is there, and which of its files leads to what we write
//! render        boot entries → files in its own format, for the new `loader.N`
//! parse         what it would show and boot, by its own rules; asked before the commit
//! after_switch  what has to be done once the new set is chosen: a tool, or the loader's first file
//! ```

mod aboot;
mod beside;
mod choice;
mod detect;
mod error;
pub mod grub2;
mod interface;
mod menu;
mod none;
pub(crate) mod place;
mod shown;
mod syslinux;
mod uboot;
mod zipl;

pub use aboot::Aboot;
pub use beside::Beside;
pub use choice::Choice;
pub use detect::{detect, select};
pub use error::LoaderError;
pub use grub2::Grub2;
pub use interface::{AfterSwitch, EntryPoint, Installed, Loader, Reads, Tool};
pub use menu::{Menu, MenuItem};
pub use none::BootEntriesOnly;
pub use place::booted_partition;
pub use shown::{Shown, ShownEntry};
pub use syslinux::{Extlinux, Syslinux};
pub use uboot::Uboot;
pub use zipl::Zipl;
