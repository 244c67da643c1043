// SPDX-License-Identifier: MIT OR Apache-2.0
//! The key of a built tree: one hash over every file that goes into it.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// Hashes names, modes and contents; feed it files, directories and words, then finish.
#[derive(Default)]
pub(crate) struct Key {
    hasher: Sha256,
}

impl Key {
    /// Adds a word.
    pub(crate) fn word(&mut self, word: &str) {
        self.field(word.as_bytes());
    }

    /// Adds a directory and all below it, in the order of names.
    pub(crate) fn directory(&mut self, directory: &Path) -> Result<()> {
        let read = || format!("Reading {}", directory.display());
        let mut entries: Vec<_> =
            fs::read_dir(directory).with_context(read)?.collect::<Result<_, _>>().with_context(read)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        self.field(&entries.len().to_le_bytes());
        for entry in entries {
            let path = entry.path();
            let read = || format!("Reading {}", path.display());
            let metadata = entry.metadata().with_context(read)?;
            self.field(entry.file_name().as_bytes());
            self.field(&metadata.permissions().mode().to_le_bytes());
            if metadata.is_dir() {
                self.directory(&path)?;
            } else if metadata.is_symlink() {
                self.field(fs::read_link(&path).with_context(read)?.as_os_str().as_bytes());
            } else {
                self.field(&fs::read(&path).with_context(read)?);
            }
        }
        Ok(())
    }

    /// The key, as hexadecimal digits.
    pub(crate) fn finish(self) -> String {
        self.hasher.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    fn field(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes.len().to_le_bytes());
        self.hasher.update(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(directory: &Path) -> String {
        let mut key = Key::default();
        key.directory(directory).unwrap();
        key.finish()
    }

    #[test]
    fn names_modes_contents_and_links_count() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("file");
        fs::write(&file, "one").unwrap();
        let mut seen = vec![key(place.path())];
        fs::write(&file, "two").unwrap();
        seen.push(key(place.path()));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o700)).unwrap();
        seen.push(key(place.path()));
        std::os::unix::fs::symlink("a", place.path().join("link")).unwrap();
        seen.push(key(place.path()));
        fs::rename(&file, place.path().join("other")).unwrap();
        seen.push(key(place.path()));
        assert_eq!(key(place.path()), seen[4]);
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 5);
    }
}
