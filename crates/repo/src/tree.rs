// SPDX-License-Identifier: MIT OR Apache-2.0
//! A directory tree under construction.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use formats::Checksum;
use formats::object::{DirEntry, DirTree, FileEntry, ObjectType, check_name};

use crate::{MAX_DEPTH, Repo, RepoError, Transaction};

/// A directory that can be added to. Directories that come from the repository are opened only when something is
/// put into them.
#[derive(Debug, Default)]
pub struct Tree {
    meta: Option<Checksum>,
    files: BTreeMap<Box<str>, Checksum>,
    dirs: BTreeMap<Box<str>, Node>,
}

#[derive(Debug)]
enum Node {
    Stored { tree: Checksum, meta: Checksum },
    Open(Box<Tree>),
}

impl Tree {
    /// An empty directory without metadata.
    pub fn new() -> Self {
        Self::default()
    }

    /// The directory of these objects.
    pub fn open(repo: &Repo, tree: &Checksum, meta: &Checksum) -> Result<Self> {
        let data = repo.load_dirtree(tree)?;
        let dir = repo.parse_dirtree(tree, &data)?;
        let stored = |entry: &DirEntry<'_>| {
            (Box::from(entry.name), Node::Stored { tree: entry.tree, meta: entry.meta })
        };
        Ok(Self {
            meta: Some(*meta),
            files: dir.files.iter().map(|entry| (Box::from(entry.name), entry.checksum)).collect(),
            dirs: dir.dirs.iter().map(stored).collect(),
        })
    }

    /// Sets the dirmeta object of this directory.
    pub fn set_meta(&mut self, meta: Checksum) {
        self.meta = Some(meta);
    }

    /// Whether the metadata was set.
    pub fn has_meta(&self) -> bool {
        self.meta.is_some()
    }

    /// Puts a file here, instead of one of that name.
    ///
    /// Errors: the name is no single component, or that of a directory.
    pub fn insert_file(&mut self, name: &str, checksum: Checksum) -> Result<()> {
        check_name(name)?;
        if self.dirs.contains_key(name) {
            bail!("Can't replace directory with file: {name}");
        }
        self.files.insert(Box::from(name), checksum);
        Ok(())
    }

    /// The directory `name` in this one, made if it is not there.
    ///
    /// Errors: the name is no single component, or that of a file.
    pub fn ensure_dir(&mut self, repo: &Repo, name: &str) -> Result<&mut Tree> {
        check_name(name)?;
        if self.files.contains_key(name) {
            bail!("Can't replace file with directory: {name}");
        }
        let node = self.dirs.entry(Box::from(name)).or_insert_with(|| Node::Open(Box::default()));
        if let Node::Stored { tree, meta } = node {
            *node = Node::Open(Box::new(Tree::open(repo, tree, meta)?));
        }
        match node {
            Node::Open(tree) => Ok(tree),
            Node::Stored { .. } => bail!("directory {name} could not be opened"),
        }
    }

    /// Lays a directory of the repository over this one: its metadata and files win.
    pub fn overlay(&mut self, repo: &Repo, tree: &Checksum, meta: &Checksum) -> Result<()> {
        self.overlay_at(repo, tree, meta, 0)
    }

    fn overlay_at(&mut self, repo: &Repo, tree: &Checksum, meta: &Checksum, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(RepoError::TooDeep(MAX_DEPTH).into());
        }
        let data = repo.load_dirtree(tree)?;
        let over = repo.parse_dirtree(tree, &data)?;
        self.meta = Some(*meta);
        for file in &over.files {
            self.insert_file(file.name, file.checksum)?;
        }
        for dir in &over.dirs {
            if self.dirs.contains_key(dir.name) || self.files.contains_key(dir.name) {
                self.ensure_dir(repo, dir.name)?.overlay_at(repo, &dir.tree, &dir.meta, depth + 1)?;
            } else {
                self.dirs.insert(Box::from(dir.name), Node::Stored { tree: dir.tree, meta: dir.meta });
            }
        }
        Ok(())
    }

    /// Writes what was not stored yet; the checksums of tree and metadata.
    ///
    /// Errors: a directory has no metadata.
    pub fn write(&self, transaction: &mut Transaction<'_>) -> Result<(Checksum, Checksum)> {
        let mut dirs = Vec::with_capacity(self.dirs.len());
        for (name, node) in &self.dirs {
            let (tree, meta) = match node {
                Node::Stored { tree, meta } => (*tree, *meta),
                Node::Open(open) => open.write(transaction).with_context(|| format!("in {name}"))?,
            };
            dirs.push(DirEntry { name, tree, meta });
        }
        let files =
            self.files.iter().map(|(name, checksum)| FileEntry { name, checksum: *checksum }).collect();
        let data = DirTree { files, dirs }.serialize()?;
        let tree = transaction.write_metadata(ObjectType::DirTree, &data)?;
        Ok((tree, self.meta.context("Can't commit an empty tree: no directory gave its metadata")?))
    }

    /// The release of the kernel in `usr/lib/modules/RELEASE/vmlinuz`, if there is exactly such a directory.
    ///
    /// Errors: more than one release has a kernel.
    pub fn kernel_release(&mut self, repo: &Repo) -> Result<Option<String>> {
        let mut dir = self;
        for name in ["usr", "lib", "modules"] {
            if !dir.dirs.contains_key(name) {
                return Ok(None);
            }
            dir = dir.ensure_dir(repo, name)?;
        }
        let names: Vec<Box<str>> = dir.dirs.keys().cloned().collect();
        let mut found = None;
        for name in names {
            if dir.ensure_dir(repo, &name)?.files.contains_key("vmlinuz")
                && found.replace(name.into_string()).is_some()
            {
                bail!("Multiple subdirectories found in /usr/lib/modules with a kernel");
            }
        }
        Ok(found)
    }
}
