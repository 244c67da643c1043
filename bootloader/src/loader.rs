// SPDX-License-Identifier: MIT OR Apache-2.0
//! Boot loaders: which one is there, and what it needs beside the entries.

mod detect;
mod none;

use crate::plan::NewFile;

pub use detect::{Choice, LoaderError, detect, select};
pub use none::BootEntriesOnly;

/// A boot loader.
pub trait Loader: std::fmt::Debug {
    /// Its name in the configuration.
    fn name(&self) -> &'static str;

    /// The files in its own format, made of our entries; paths below `loader.N`.
    fn native_files(&self, entries: &[NewFile]) -> Vec<NewFile>;
}
