// SPDX-License-Identifier: MIT OR Apache-2.0
//! The contents of a directory, as a value: to compare, and to know again.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// A SHA-256.
pub type Hash = [u8; 32];

/// The kinds of things that a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A directory.
    Directory,
    /// A file, by the hash of its contents.
    File(Hash),
    /// A link, by its target.
    Link(String),
    /// A device, pipe or socket.
    Special,
    /// It is there and cannot be read.
    Unreadable(String),
}

/// A path's node with mode and owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The thing itself.
    pub node: Node,
    /// Type and permissions, as `stat(2)` has them.
    pub mode: u32,
    /// User and group.
    pub owner: (u32, u32),
}

/// Everything below a directory, by paths relative to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Sorted by path, with `/` between the components.
    pub items: BTreeMap<String, Item>,
}

impl Snapshot {
    /// Reads a directory and what is mounted below it. What cannot be read is told as such.
    pub fn of(top: &Path) -> Result<Self> {
        let mut this = Self::default();
        this.add(top, "", &mut HashMap::new()).with_context(|| format!("Reading {}", top.display()))?;
        Ok(this)
    }

    /// A file with several names is read once.
    fn add(&mut self, dir: &Path, prefix: &str, known: &mut Known) -> Result<()> {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if path == "lost+found" || path == "boot/lost+found" {
                continue;
            }
            let item = read(&entry.path(), known);
            let enter = item.node == Node::Directory;
            let inner = format!("{path}/");
            self.items.insert(path.clone(), item);
            if enter && let Err(error) = self.add(&entry.path(), &inner, known) {
                let told = Node::Unreadable(error.to_string());
                self.items.entry(path).and_modify(|item| item.node = told);
            }
        }
        Ok(())
    }

    /// One hash of all of it.
    pub fn digest(&self) -> Hash {
        let mut hash = Sha256::new();
        for (path, item) in &self.items {
            hash.update(format!("{path}\0{:?}\n", item).as_bytes());
        }
        hash.finalize().into()
    }

    /// Returns the item at a path.
    pub fn get(&self, path: &str) -> Option<&Item> {
        self.items.get(path)
    }

    /// Lists the items below a directory, by paths relative to it.
    pub fn below<'a>(&'a self, dir: &'a str) -> impl Iterator<Item = (&'a str, &'a Item)> {
        let start = format!("{dir}/");
        let stop = format!("{dir}0"); // the character after '/'
        let range = self.items.range(start.clone()..stop);
        range.map(move |(path, item)| (path.get(start.len()..).unwrap_or_default(), item))
    }
}

/// Hashes by device and inode.
type Known = HashMap<(u64, u64), Hash>;

fn read(path: &Path, known: &mut Known) -> Item {
    let unreadable =
        |error: std::io::Error| Item { node: Node::Unreadable(error.to_string()), mode: 0, owner: (0, 0) };
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) => return unreadable(error),
    };
    let kind = meta.file_type();
    let node = if kind.is_dir() {
        Ok(Node::Directory)
    } else if kind.is_symlink() {
        let target = fs::read_link(path);
        target.map(|target| Node::Link(String::from_utf8_lossy(target.as_os_str().as_bytes()).into_owned()))
    } else if kind.is_fifo() || kind.is_socket() || kind.is_block_device() || kind.is_char_device() {
        Ok(Node::Special)
    } else {
        match known.get(&(meta.dev(), meta.ino())) {
            Some(hash) => Ok(*hash),
            None => hash_file(path).inspect(|hash| {
                known.insert((meta.dev(), meta.ino()), *hash);
            }),
        }
        .map(Node::File)
    };
    match node {
        Ok(node) => Item { node, mode: meta.mode(), owner: (meta.uid(), meta.gid()) },
        Err(error) => unreadable(error),
    }
}

/// The hash of a file's contents.
pub(crate) fn hash_file(path: &Path) -> std::io::Result<Hash> {
    let mut file = fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().into()),
            read => hash.update(buffer.get(..read).unwrap_or_default()),
        }
    }
}
