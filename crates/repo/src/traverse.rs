// SPDX-License-Identifier: MIT OR Apache-2.0
//! The objects that are reachable from commits.

use std::collections::HashSet;

use anyhow::{Context as _, Result};
use formats::Checksum;
use formats::object::{ObjectName, ObjectType};

use crate::{Repo, RepoError};

/// How many parents of a commit count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// All that are there.
    All,
    /// So many; none for the commit alone.
    Parents(u64),
}

impl Depth {
    /// Reads a number of the command line: -1 stands for all parents, other negative numbers for none.
    pub fn from_number(number: i64) -> Self {
        match u64::try_from(number) {
            Ok(parents) => Self::Parents(parents),
            Err(_) if number == -1 => Self::All,
            Err(_) => Self::Parents(0),
        }
    }
}

/// The reason for which a commit lacks objects, as its mark in `state/` tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partial {
    /// Its tree was not asked for, or a pull was interrupted.
    NotPulled,
    /// A check has found them missing or corrupt.
    FoundByFsck,
}

impl Partial {
    /// The contents of the mark, as `_ostree_repo_mark_commit_partial_reason` of the C library writes them.
    fn contents(self) -> &'static [u8] {
        match self {
            Self::NotPulled => b"",
            Self::FoundByFsck => b"f",
        }
    }
}

/// Objects that some commits need.
#[derive(Debug, Default)]
pub struct Reachable(HashSet<ObjectName>);

impl Reachable {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether an object is needed.
    pub fn contains(&self, name: &ObjectName) -> bool {
        self.0.contains(name)
    }

    /// Number of objects.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is needed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &ObjectName> {
        self.0.iter()
    }

    /// Adds a commit and its parents. A parent that is not there ends the history, as after a shallow pull; a
    /// partial commit adds what is there of its tree.
    ///
    /// Errors: an object that a whole commit needs is missing or corrupt.
    pub fn add_history(
        &mut self,
        repo: &Repo,
        commit: &Checksum,
        depth: Depth,
        commits_only: bool,
    ) -> Result<()> {
        let mut next = Some(*commit);
        let mut left = match depth {
            Depth::All => u64::MAX,
            Depth::Parents(count) => count,
        };
        while let Some(checksum) = next {
            let name = ObjectName::new(checksum, ObjectType::Commit);
            let loaded = match repo.load_commit(&checksum) {
                Err(error) if checksum != *commit && is_missing(&error, &name) => return Ok(()),
                loaded => loaded?,
            };
            if self.0.insert(name) && !commits_only {
                let partial = repo.is_partial(&checksum)?;
                self.add_tree(repo, loaded.tree, loaded.meta, partial)?;
            }
            if left == 0 {
                return Ok(());
            }
            left -= 1;
            next = loaded.parent;
        }
        Ok(())
    }

    /// Adds a directory and all below it; what is known already is not walked again. Of a `partial` tree
    /// directories may be missing.
    pub fn add_tree(&mut self, repo: &Repo, tree: Checksum, meta: Checksum, partial: bool) -> Result<()> {
        let mut trees = vec![tree];
        self.0.insert(ObjectName::new(meta, ObjectType::DirMeta));
        while let Some(tree) = trees.pop() {
            let name = ObjectName::new(tree, ObjectType::DirTree);
            if !self.0.insert(name) {
                continue;
            }
            let data = match repo.load_dirtree(&tree) {
                Err(error) if partial && is_missing(&error, &name) => continue,
                data => data?,
            };
            let dir = repo.parse_dirtree(&tree, &data)?;
            self.0.extend(dir.files.iter().map(|file| ObjectName::new(file.checksum, ObjectType::File)));
            self.0.extend(dir.dirs.iter().map(|dir| ObjectName::new(dir.meta, ObjectType::DirMeta)));
            trees.extend(dir.dirs.iter().map(|dir| dir.tree));
        }
        Ok(())
    }
}

/// Whether `error` says that exactly this object is not there.
pub(crate) fn is_missing(error: &anyhow::Error, name: &ObjectName) -> bool {
    matches!(error.downcast_ref(), Some(RepoError::NoMetadata(missing)) if missing == name)
}

impl Repo {
    /// Whether a commit was pulled without all of its objects, or has lost some.
    pub fn is_partial(&self, commit: &Checksum) -> Result<bool> {
        Ok(self.partial(commit)?.is_some())
    }

    /// Returns the reason for which a commit lacks objects; none for a whole one.
    ///
    /// # Errors
    /// Its mark cannot be read.
    pub fn partial(&self, commit: &Checksum) -> Result<Option<Partial>> {
        let path = format!("state/{commit}.commitpartial");
        match rustix::fs::statat(self.dir(), path.as_str(), rustix::fs::AtFlags::SYMLINK_NOFOLLOW) {
            // The mark of a check has one byte; an empty one need not be opened.
            Ok(stat) if stat.st_size == 0 => Ok(Some(Partial::NotPulled)),
            Ok(_) => {
                let contents = crate::bytes::read_file(self.dir(), &path).with_context(|| path.clone())?;
                let is_found = contents.first() == Partial::FoundByFsck.contents().first();
                Ok(Some(if is_found { Partial::FoundByFsck } else { Partial::NotPulled }))
            }
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(error) => Err(anyhow::Error::from(error).context(path)),
        }
    }

    /// Checks that a commit that counts as partial has its whole tree all the same: who makes something of the tree needs all of it.
    ///
    /// Errors: [`RepoError::NoMetadata`], [`RepoError::NoFile`] with the first object that is not there.
    pub fn check_tree(&self, commit: &Checksum) -> Result<()> {
        if !self.is_partial(commit)? {
            return Ok(());
        }
        let look = || -> Result<()> {
            let loaded = self.load_commit(commit)?;
            let mut needed = Reachable::new();
            needed.add_tree(self, loaded.tree, loaded.meta, false)?;
            for name in needed.iter() {
                if !self.has_object(*name)? {
                    return Err(RepoError::missing(*name).into());
                }
            }
            Ok(())
        };
        look().with_context(|| {
            format!("Commit {commit} in {} lacks a part of its tree; pull it again", self.path().display())
        })
    }

    /// Marks a commit as one that lacks objects, or removes the mark.
    ///
    /// # Errors
    /// The file system says no.
    pub fn set_partial(&self, commit: &Checksum, partial: Option<Partial>) -> Result<()> {
        let path = format!("state/{commit}.commitpartial");
        if let Some(reason) = partial {
            self.furnish()?;
            return crate::bytes::replace(self.dir(), &path, reason.contents());
        }
        match rustix::fs::unlinkat(self.dir(), path.as_str(), rustix::fs::AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(error) => Err(anyhow::Error::from(error).context(path)),
        }
    }
}
