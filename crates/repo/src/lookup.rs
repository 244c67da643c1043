// SPDX-License-Identifier: MIT OR Apache-2.0
//! Paths inside a commit.

use anyhow::Result;
use formats::Checksum;

use crate::{Repo, RepoError};

/// The object at a path of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// A regular file or symbolic link.
    File(Checksum),
    /// A directory.
    Dir {
        /// Its dirtree object.
        tree: Checksum,
        /// Its dirmeta object.
        meta: Checksum,
    },
}

impl Repo {
    /// The root directory of a commit.
    pub fn root_of(&self, commit: &Checksum) -> Result<Entry> {
        let commit = self.load_commit(commit)?;
        Ok(Entry::Dir { tree: commit.tree, meta: commit.meta })
    }

    /// Finds the entry at `path` in a commit. Links are not followed; empty components and `.` count for nothing.
    ///
    /// Errors: [`RepoError::NoPath`].
    pub fn lookup(&self, commit: &Checksum, path: &str) -> Result<Entry> {
        self.lookup_from(self.root_of(commit)?, path)
    }

    /// Finds the entry at `path` below `entry`.
    pub fn lookup_from(&self, mut entry: Entry, path: &str) -> Result<Entry> {
        let missing = || RepoError::NoPath(path.to_owned());
        for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
            let Entry::Dir { tree, .. } = entry else { return Err(missing().into()) };
            let data = self.load_dirtree(&tree)?;
            let dir = self.parse_dirtree(&tree, &data)?;
            let file = dir.file(part).map(|file| Entry::File(file.checksum));
            entry = file
                .or_else(|| dir.dir(part).map(|dir| Entry::Dir { tree: dir.tree, meta: dir.meta }))
                .ok_or_else(missing)?;
        }
        Ok(entry)
    }
}
