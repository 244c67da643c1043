// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading a directory of the file system into a tree of objects.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use formats::object::{DirMeta, FileHeader, FileMeta, Xattrs};
use formats::{Checksum, Hasher};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode as Permissions, OFlags, Stat, fstat, openat, readlinkat, statat,
};
use rustix::io::Errno;

pub use crate::overlay::add_commit;
pub use crate::path_table::PathTable;
pub use crate::tree_options::{ModeChange, TreeOptions, parse_mode_changes};

use crate::tree::Tree;
use crate::{Consumption, Mode, Transaction, check_depth, scan, xattr};

/// Writes the directory `path` below `at` into `tree`, over what is there.
pub fn add_directory(
    transaction: &mut Transaction<'_>,
    tree: &mut Tree,
    at: impl AsFd,
    path: &Path,
    options: &TreeOptions,
) -> Result<()> {
    add(transaction, tree, at.as_fd(), path, options, None)
}

/// As [`add_directory`], and the directory goes: see [`Consumption`], which has looked at it.
pub fn consume_directory(
    transaction: &mut Transaction<'_>,
    tree: &mut Tree,
    path: &Path,
    options: &TreeOptions,
    consumption: &mut Consumption,
) -> Result<()> {
    let top = consumption.top_of(path)?;
    add(transaction, tree, CWD, path, options, Some((consumption, top)))
}

fn add(
    transaction: &mut Transaction<'_>,
    tree: &mut Tree,
    at: BorrowedFd<'_>,
    path: &Path,
    options: &TreeOptions,
    consumption: Option<(&mut Consumption, usize)>,
) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let dir = openat(at, path, flags, Permissions::empty())
        .with_context(|| format!("opendir({})", path.display()))?;
    let no_xattrs =
        options.no_xattrs || options.canonical_permissions || transaction.repo().settings().disable_xattrs;
    let mut walk = Walk {
        transaction,
        options,
        xattrs: (!no_xattrs).then(xattr::Reader::new),
        metas: HashMap::new(),
        consumption,
        path: String::new(),
        // Paths of the tree are needed only for what lists them, and for messages.
        source: path,
    };
    walk.directory(dir, tree)
}

/// The checksum that a file, symbolic link or directory (as a dirmeta object) would have in a repository.
pub fn checksum_path(path: &Path, ignore_xattrs: bool) -> Result<Checksum> {
    let step = || format!("Reading {}", path.display());
    let stat = statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).with_context(step)?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    let mut reader = xattr::Reader::new();
    let mut hasher = Hasher::new();
    let mut framed = Vec::new();
    if kind == FileType::Symlink {
        let target =
            readlinkat(CWD, path, Vec::new())?.into_string().context("the link's target is not UTF-8")?;
        let xattrs = match path.to_str() {
            Some(name) if !ignore_xattrs => reader.of_path(name)?,
            _ => Xattrs::empty(),
        };
        FileHeader::new(plain(&stat, xattrs), target)?.write_framed(&mut framed);
        hasher.update(&framed);
        return Ok(hasher.finish());
    }
    let mut file = File::from(durable::open_to_read(CWD, path, OFlags::NOFOLLOW).with_context(step)?);
    let xattrs = if ignore_xattrs { Xattrs::empty() } else { reader.of_fd(&file)? };
    match kind {
        FileType::Directory => Ok(Checksum::of(&DirMeta::new(plain(&stat, xattrs))?.serialize())),
        FileType::RegularFile => {
            FileHeader::new(plain(&stat, xattrs), String::new())?.write_framed(&mut framed);
            hasher.update(&framed);
            std::io::copy(&mut file, &mut hasher).with_context(step)?;
            Ok(hasher.finish())
        }
        _ => bail!("Not a regular file, symlink or directory: {}", path.display()),
    }
}

struct Walk<'a, 'r> {
    transaction: &'a mut Transaction<'r>,
    options: &'a TreeOptions,
    xattrs: Option<xattr::Reader>,
    /// dirmeta objects by their bytes: a tree has few.
    metas: HashMap<Vec<u8>, Checksum>,
    /// The consumption, and which of its trees this is.
    consumption: Option<(&'a mut Consumption, usize)>,
    /// Path below the source, with a leading slash; empty for the source itself.
    path: String,
    source: &'a Path,
}

impl Walk<'_, '_> {
    fn describe(&self) -> String {
        format!("{}{}", self.source.display(), self.path)
    }

    fn directory(&mut self, dir: OwnedFd, tree: &mut Tree) -> Result<()> {
        check_depth(&self.path)?;
        let meta = self.dir_meta(&dir).with_context(|| self.describe())?;
        tree.set_meta(meta);
        for (name, kind) in scan::tree_entries(&dir, || self.describe())? {
            let len = self.path.len();
            self.path.push('/');
            self.path.push_str(&name);
            if self.options.skip.meet(&self.path).is_none() {
                self.entry(dir.as_fd(), &name, kind, tree)?;
            }
            self.path.truncate(len);
        }
        Ok(())
    }

    fn entry(&mut self, dir: BorrowedFd<'_>, name: &str, kind: FileType, tree: &mut Tree) -> Result<()> {
        match kind {
            FileType::Directory => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let child =
                    openat(dir, name, flags, Permissions::empty()).with_context(|| self.describe())?;
                let subtree =
                    tree.ensure_dir(self.transaction.repo(), name).with_context(|| self.describe())?;
                let stat = self.consumption.is_some().then(|| fstat(&child)).transpose()?;
                self.directory(child, subtree)?;
                if let (Some((consumption, top)), Some(stat)) = (&mut self.consumption, stat) {
                    consumption.directory(*top, &self.path, &stat);
                }
                Ok(())
            }
            FileType::RegularFile | FileType::Symlink => {
                let read = match self.consumption {
                    Some(_) => self.consume(dir, name),
                    None if kind == FileType::Symlink => self.symlink(dir, name),
                    None => self.regular(dir, name),
                };
                let checksum = read.with_context(|| self.describe())?;
                tree.insert_file(name, checksum).with_context(|| self.describe())
            }
            _ => bail!(
                "Unsupported file type for file: '{}'; remove it or list it in a skip list",
                self.describe()
            ),
        }
    }

    /// Takes a file or link that is to go.
    fn consume(&mut self, dir: BorrowedFd<'_>, name: &str) -> Result<Checksum> {
        let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if let Some(checksum) = self.link_source(dir, name, &stat)? {
            if let Some((consumption, top)) = &mut self.consumption {
                consumption.linked(*top, &self.path, &stat);
            }
            return Ok(checksum);
        }
        if let Some((consumption, _)) = &mut self.consumption {
            consumption.make_room(self.transaction, u64::try_from(stat.st_size)?)?;
        }
        let written = self.transaction.stats().content_written;
        let checksum = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => self.symlink(dir, name)?,
            _ => self.regular(dir, name)?,
        };
        let is_new = self.transaction.stats().content_written > written;
        let copy = if is_new { self.transaction.staged_size(checksum)? } else { 0 };
        if let Some((consumption, top)) = &mut self.consumption {
            consumption.copied(*top, &self.path, &stat, copy);
        }
        Ok(checksum)
    }

    /// Makes the file itself the object, where it is what the object wants to be: nobody has another name of it, and nothing is changed on
    /// the way.
    fn link_source(&mut self, dir: BorrowedFd<'_>, name: &str, stat: &Stat) -> Result<Option<Checksum>> {
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        if self.transaction.repo().mode() != Mode::Bare || stat.st_nlink != 1 || !is_file {
            return Ok(None);
        }
        let mut file = File::from(durable::open_to_read(dir, name, OFlags::NOFOLLOW)?);
        let found = fstat(&file)?;
        let (xattrs, wanted) = match &mut self.xattrs {
            Some(reader) => {
                let xattrs = reader.of_fd(&file)?;
                (xattrs.clone(), xattrs)
            }
            None => (xattr::Reader::new().of_fd(&file)?, Xattrs::empty()),
        };
        let meta = self.options.modify(plain(&found, wanted), &self.path);
        if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile || meta != plain(&found, xattrs) {
            return Ok(None);
        }
        let header = FileHeader::new(meta, String::new())?;
        self.transaction.link_file((dir, name), &mut file, &header)
    }

    fn dir_meta(&mut self, dir: &OwnedFd) -> Result<Checksum> {
        let stat = fstat(dir)?;
        let xattrs = match &mut self.xattrs {
            Some(reader) => reader.of_fd(dir)?,
            None => Xattrs::empty(),
        };
        let path = if self.path.is_empty() { "/" } else { &self.path };
        let meta = DirMeta::new(self.options.modify(plain(&stat, xattrs), path))?;
        let data = meta.serialize();
        if let Some(known) = self.metas.get(&data) {
            self.transaction.count_known_metadata()?;
            return Ok(*known);
        }
        let checksum = self.transaction.write_dirmeta(&meta)?;
        self.metas.insert(data, checksum);
        Ok(checksum)
    }

    fn regular(&mut self, dir: BorrowedFd<'_>, name: &str) -> Result<Checksum> {
        if let Some(checksum) = self.linked(dir, name)? {
            return self.known(checksum);
        }
        let mut file = match durable::open_to_read(dir, name, OFlags::NOFOLLOW | OFlags::NOATIME) {
            // Only the owner may keep the access time.
            Err(Errno::PERM) => durable::open_to_read(dir, name, OFlags::NOFOLLOW),
            opened => opened,
        }
        .map(File::from)?;
        let stat = fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            bail!("it changed while it was read");
        }
        let xattrs = match &mut self.xattrs {
            Some(reader) => self.options.without_own(reader.of_fd(&file)?, self.transaction.repo().mode()),
            None => Xattrs::empty(),
        };
        let header = FileHeader::new(self.options.modify(plain(&stat, xattrs), &self.path), String::new())?;
        self.transaction.write_file(&header, &mut file, u64::try_from(stat.st_size)?)
    }

    fn symlink(&mut self, dir: BorrowedFd<'_>, name: &str) -> Result<Checksum> {
        if let Some(checksum) = self.linked(dir, name)? {
            return self.known(checksum);
        }
        let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let target = readlinkat(dir, name, Vec::new())?;
        let target = target.into_string().context("the link's target is not UTF-8")?;
        let xattrs = match &mut self.xattrs {
            Some(reader) => reader.of_name(dir, name)?,
            None => Xattrs::empty(),
        };
        let header = FileHeader::new(self.options.modify(plain(&stat, xattrs), &self.path), target)?;
        self.transaction.write_symlink(&header)
    }

    /// The object that a file is a hard link of.
    fn linked(&self, dir: BorrowedFd<'_>, name: &str) -> Result<Option<Checksum>> {
        let Some(cache) = &self.options.devino else { return Ok(None) };
        Ok(cache.find(&statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?).copied())
    }

    /// An object that the tree has a hard link of. The object says what it is: in a bare-user repository the link has another owner, and
    /// lacks mode bits and xattrs. Options that change something change that.
    fn known(&mut self, checksum: Checksum) -> Result<Checksum> {
        if !self.options.devino_canonical {
            let mut object = self.transaction.repo().load_file(&checksum)?;
            let FileMeta { uid, gid, mode, xattrs } = object.header.meta.clone();
            let xattrs = if self.xattrs.is_some() { xattrs } else { Xattrs::empty() };
            let meta = self.options.modify(FileMeta { uid, gid, mode, xattrs }, &self.path);
            let header = FileHeader::new(meta, object.header.target.clone())?;
            if header != object.header {
                return match header.meta.is_symlink() {
                    true => self.transaction.write_symlink(&header),
                    false => self.transaction.write_file(&header, &mut object.content, object.size),
                };
            }
        }
        self.transaction.count_cache_hit()?;
        Ok(checksum)
    }
}

fn plain(stat: &Stat, xattrs: Xattrs) -> FileMeta {
    FileMeta { uid: stat.st_uid, gid: stat.st_gid, mode: stat.st_mode, xattrs }
}
