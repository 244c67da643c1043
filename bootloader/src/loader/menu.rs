// SPDX-License-Identifier: MIT OR Apache-2.0
//! The menu that a file in a loader's own format is made of.

use formats::bls::{Entry, EntryName};

use super::error::LoaderError;
use super::shown::below_boot;

/// The parts of a menu in a loader's own format.
#[derive(Debug)]
pub struct Menu<'a> {
    /// The default first.
    pub items: Vec<MenuItem<'a>>,
    /// The loader's configuration as it is now: lines of others in it stay.
    pub config: Option<&'a str>,
    /// The prefix of paths in `/boot`, from the root of its file system: nothing, `/boot`, or one that names a subvolume as well.
    pub boot: &'a str,
}

/// One of our entries.
#[derive(Debug, Clone, Copy)]
pub struct MenuItem<'a> {
    /// Its file name.
    pub name: &'a EntryName,
    /// The entry itself.
    pub entry: &'a Entry,
    /// The lines that its tree adds to U-Boot's environment while it is the default.
    pub environment: Option<&'a str>,
}

impl Menu<'_> {
    /// The path that an entry names, from the root of the file system that holds `/boot`.
    pub(super) fn path(&self, path: &str) -> String {
        if path.starts_with('$') {
            // A variable of GRUB: whoever has put it there has said what it stands for.
            return path.to_owned();
        }
        // Of a file system of its own `/boot/boot` leads back to where it is.
        let below = if self.boot.is_empty() { path } else { below_boot(path) };
        format!("{}{below}", self.boot)
    }

    /// The same for the first value of a key.
    pub(super) fn path_of(&self, item: &MenuItem<'_>, key: &str) -> Option<String> {
        item.entry.all(key).next().map(|path| self.path(path))
    }

    /// The same for the initrd of a loader that can load one only.
    pub(super) fn only_initrd(
        &self,
        item: &MenuItem<'_>,
        loader: &'static str,
    ) -> Result<Option<String>, LoaderError> {
        match item.entry.initrd().as_slice() {
            [] => Ok(None),
            [path] => Ok(Some(self.path(path))),
            _ => Err(LoaderError::OneInitrd { loader, entry: item.name.to_string() }),
        }
    }
}
