// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading a directory of the file system into a tree of objects.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use formats::object::{DirMeta, FileHeader, FileMeta, OSTREEMETA_XATTR, Xattrs};
use formats::{Checksum, Hasher};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode as Permissions, OFlags, Stat, fstat, openat, readlinkat, statat, unlinkat,
};
use rustix::io::Errno;

use crate::tree::Tree;
use crate::{DevInoCache, Mode, PathSet, Transaction, check_depth, scan, xattr};

/// Change of one path's mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModeChange {
    /// These bits are added.
    Add(u32),
    /// These are the permissions.
    Set(u32),
}

/// What is taken over from a directory, and what is changed on the way.
#[derive(Debug, Default)]
pub struct TreeOptions {
    /// Owner of everything, instead of the one on disk.
    pub uid: Option<u32>,
    /// Group of everything, instead of the one on disk.
    pub gid: Option<u32>,
    /// Owner and group 0, no xattrs, no mode bits but those of 0755.
    pub canonical_permissions: bool,
    /// Extended attributes are not read.
    pub no_xattrs: bool,
    /// Executable files lose their write bits.
    pub read_only_executables: bool,
    /// Sources are removed once they are in the repository.
    pub consume: bool,
    /// Files that are hard links of objects.
    pub devino: Option<DevInoCache>,
    /// Hard links of objects are taken for unmodified, whatever their metadata says.
    pub devino_canonical: bool,
    /// Paths with a leading slash and how their modes change.
    pub mode_changes: HashMap<String, ModeChange>,
    /// Paths with a leading slash that are left out, with all below them.
    pub skip: PathSet,
}

/// Reads a file of `--statoverride`: lines `MODE PATH`, the mode in decimal, with `=` in front to set it instead
/// of adding bits.
pub fn parse_mode_changes(text: &str) -> Result<HashMap<String, ModeChange>> {
    let mut out = HashMap::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (mode, path) = line
            .split_once(' ')
            .with_context(|| format!("Malformed statoverride file (no space found): {line}"))?;
        let parse =
            |mode: &str| mode.parse().with_context(|| format!("Malformed statoverride file: mode in {line}"));
        let change = match mode.strip_prefix('=') {
            Some(mode) => ModeChange::Set(parse(mode)?),
            None => ModeChange::Add(parse(mode)?),
        };
        out.insert(path.to_owned(), change);
    }
    Ok(out)
}

/// Writes the directory `path` below `at` into `tree`, over what is there.
pub fn add_directory(
    transaction: &mut Transaction<'_>,
    tree: &mut Tree,
    at: impl AsFd,
    path: &Path,
    options: &TreeOptions,
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
        path: String::new(),
        // Paths of the tree are needed only for what lists them, and for messages.
        source: path,
    };
    walk.directory(dir, tree)?;
    if options.consume {
        // The directory itself may be the current one, or not ours.
        unlinkat(CWD, path, AtFlags::REMOVEDIR).ok();
    }
    Ok(())
}

/// The checksum that a file, symbolic link or directory (as a dirmeta object) would have in a repository.
pub fn checksum_path(path: &Path, ignore_xattrs: bool) -> Result<Checksum> {
    let step = || format!("Reading {}", path.display());
    let stat = statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).with_context(step)?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    let mut reader = xattr::Reader::new();
    let plain = |xattrs| FileMeta { uid: stat.st_uid, gid: stat.st_gid, mode: stat.st_mode, xattrs };
    let mut hasher = Hasher::new();
    let mut framed = Vec::new();
    if kind == FileType::Symlink {
        let target =
            readlinkat(CWD, path, Vec::new())?.into_string().context("the link's target is not UTF-8")?;
        let xattrs = match path.to_str() {
            Some(name) if !ignore_xattrs => reader.of_path(name)?,
            _ => Xattrs::empty(),
        };
        FileHeader::new(plain(xattrs), target)?.write_framed(&mut framed);
        hasher.update(&framed);
        return Ok(hasher.finish());
    }
    let mut file = File::from(durable::open_to_read(CWD, path, OFlags::NOFOLLOW).with_context(step)?);
    let xattrs = if ignore_xattrs { Xattrs::empty() } else { reader.of_fd(&file)? };
    match kind {
        FileType::Directory => Ok(Checksum::of(&DirMeta::new(plain(xattrs))?.serialize())),
        FileType::RegularFile => {
            FileHeader::new(plain(xattrs), String::new())?.write_framed(&mut framed);
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
        let mut names = Vec::with_capacity(32);
        scan::entries(&dir, |name, kind| {
            names.push((name.to_vec(), kind));
            Ok(())
        })
        .with_context(|| self.describe())?;
        for (name, kind) in names {
            let Ok(name) = String::from_utf8(name) else {
                bail!("{}: a file name is not UTF-8; rename it", self.describe());
            };
            let len = self.path.len();
            self.path.push('/');
            self.path.push_str(&name);
            if !self.options.skip.contains(&self.path) {
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
                self.directory(child, subtree)?;
                if self.options.consume {
                    unlinkat(dir, name, AtFlags::REMOVEDIR).with_context(|| self.describe())?;
                }
                Ok(())
            }
            FileType::RegularFile => {
                let checksum = self.regular(dir, name).with_context(|| self.describe())?;
                self.insert(dir, name, checksum, tree)
            }
            FileType::Symlink => {
                let checksum = self.symlink(dir, name).with_context(|| self.describe())?;
                self.insert(dir, name, checksum, tree)
            }
            _ => bail!(
                "Unsupported file type for file: '{}'; remove it or list it in a skip list",
                self.describe()
            ),
        }
    }

    fn insert(&mut self, dir: BorrowedFd<'_>, name: &str, checksum: Checksum, tree: &mut Tree) -> Result<()> {
        tree.insert_file(name, checksum).with_context(|| self.describe())?;
        if self.options.consume {
            unlinkat(dir, name, AtFlags::empty()).with_context(|| self.describe())?;
        }
        Ok(())
    }

    fn dir_meta(&mut self, dir: &OwnedFd) -> Result<Checksum> {
        let stat = fstat(dir)?;
        let xattrs = match &mut self.xattrs {
            Some(reader) => reader.of_fd(dir)?,
            None => Xattrs::empty(),
        };
        let path = if self.path.is_empty() { "/" } else { &self.path };
        let meta = DirMeta::new(self.modify(&stat, xattrs, path))?;
        let data = meta.serialize();
        if let Some(known) = self.metas.get(&data) {
            self.transaction.count_known_metadata();
            return Ok(*known);
        }
        let checksum = self.transaction.write_dirmeta(&meta)?;
        self.metas.insert(data, checksum);
        Ok(checksum)
    }

    fn regular(&mut self, dir: BorrowedFd<'_>, name: &str) -> Result<Checksum> {
        if let (Some(cache), true) = (&self.options.devino, self.options.devino_canonical) {
            let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
            if let Some(checksum) = cache.find(&stat) {
                self.transaction.count_cache_hit();
                return Ok(*checksum);
            }
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
        let header = FileHeader::new(self.modify(&stat, xattrs, &self.path), String::new())?;
        if let Some(checksum) = self.known(&stat, &header)? {
            return Ok(checksum);
        }
        self.transaction.write_file(&header, &mut file, u64::try_from(stat.st_size)?)
    }

    fn symlink(&mut self, dir: BorrowedFd<'_>, name: &str) -> Result<Checksum> {
        let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let target = readlinkat(dir, name, Vec::new())?;
        let target = target.into_string().context("the link's target is not UTF-8")?;
        let xattrs = match &mut self.xattrs {
            Some(reader) => reader.of_name(dir, name)?,
            None => Xattrs::empty(),
        };
        let header = FileHeader::new(self.modify(&stat, xattrs, &self.path), target)?;
        if let Some(checksum) = self.known(&stat, &header)? {
            return Ok(checksum);
        }
        self.transaction.write_symlink(&header)
    }

    /// The object that a file is a hard link of, if its metadata is still the same.
    fn known(&mut self, stat: &Stat, header: &FileHeader) -> Result<Option<Checksum>> {
        let Some(checksum) = self.options.devino.as_ref().and_then(|cache| cache.find(stat)) else {
            return Ok(None);
        };
        let same =
            self.options.devino_canonical || self.transaction.repo().load_file(checksum)?.header == *header;
        if same {
            self.transaction.count_cache_hit();
        }
        Ok(same.then_some(*checksum))
    }

    /// What the objects say of a file or directory.
    fn modify(&self, stat: &Stat, xattrs: Xattrs, path: &str) -> FileMeta {
        let options = self.options;
        let canonical = options.canonical_permissions;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let mut mode = stat.st_mode;
        if kind != FileType::Symlink {
            if canonical {
                mode &= 0o170_755;
            }
            if options.read_only_executables && kind == FileType::RegularFile && mode & 0o111 != 0 {
                mode &= !0o222;
            }
        }
        match options.mode_changes.get(path) {
            Some(ModeChange::Add(bits)) => mode |= bits,
            Some(ModeChange::Set(bits)) => mode = mode & 0o170_000 | bits & 0o7777,
            None => {}
        }
        let owner = |given: Option<u32>, found| given.unwrap_or(if canonical { 0 } else { found });
        FileMeta { uid: owner(options.uid, stat.st_uid), gid: owner(options.gid, stat.st_gid), mode, xattrs }
    }
}

impl TreeOptions {
    /// The xattr of a bare-user repository describes the object, not the file: a hard link to such an object has
    /// it, a commit must not.
    fn without_own(&self, xattrs: Xattrs, mode: Mode) -> Xattrs {
        let own = |(name, _): &(&[u8], &[u8])| *name == OSTREEMETA_XATTR.as_bytes();
        if mode != Mode::BareUser || !xattrs.iter().any(|attr| own(&attr)) {
            return xattrs;
        }
        Xattrs::new(xattrs.iter().filter(|attr| !own(attr)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mode_changes_are_decimal() {
        let changes = parse_mode_changes("2048 /usr/bin/su\n=420 /a b\n\n").unwrap();
        assert_eq!(changes.get("/usr/bin/su"), Some(&ModeChange::Add(0o4000)));
        assert_eq!(changes.get("/a b"), Some(&ModeChange::Set(0o644)));
        for bad in ["x /a", "2048", "-1 /a"] {
            assert!(parse_mode_changes(bad).is_err(), "{bad}");
        }
    }
}
