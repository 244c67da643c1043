// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writing a commit's tree into the file system.
//!
//! Where the repository's file is what the checkout wants, it becomes a hard link: one system call a file, and
//! no object is even looked at. Everything else is copied.

mod reuse;

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context as _, Result, bail};
use formats::Checksum;
use formats::object::{DirMeta, FileEntry, LoosePath, ObjectName, ObjectType};
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode as Permissions, OFlags, RenameFlags, Timespec, Timestamps, Uid,
    chownat, fchmod, fchown, fsync, futimens, ioctl_ficlone, linkat, mkdirat, mknodat, openat, renameat,
    renameat_with, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use crate::lookup::Entry;
use crate::remove::remove_whole;
use crate::{Content, LoadedFile, Mode, PathSet, Repo, bytes, check_depth, xattr};

/// Beginning of names that stand for overlay whiteouts.
const PASSTHROUGH_WHITEOUT: &str = ".ostree-wh.";
/// Beginning of names that stand for whiteouts of container layers, and the mark of an opaque directory.
const LAYER_WHITEOUT: &str = ".wh.";
const LAYER_OPAQUE: &str = ".wh..wh..opq";

/// The treatment of names that exist already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OverwriteMode {
    /// The destination must not exist.
    #[default]
    None,
    /// Existing files are replaced, existing directories kept and filled.
    Union,
    /// Existing files and directories are kept.
    UnionAdd,
    /// Existing files must be the same.
    UnionIdentical,
}

/// How to check out.
#[derive(Debug, Clone, Default)]
pub struct CheckoutOptions {
    /// Owner and xattrs are left to who checks out; special mode bits are dropped.
    pub user_mode: bool,
    /// The treatment of existing names.
    pub overwrite: OverwriteMode,
    /// A directory or file inside the commit instead of its root.
    pub subpath: Option<String>,
    /// No file is a hard link.
    pub force_copy: bool,
    /// Files that cannot be hard links are an error, but for empty ones.
    pub require_hardlinks: bool,
    /// `.wh.NAME` removes NAME, as in layers of containers.
    pub whiteouts: bool,
    /// `.ostree-wh.NAME` becomes a whiteout of overlayfs, the character device 0:0, called NAME.
    pub passthrough_whiteouts: bool,
    /// Directories get no mode bits but those of 0775.
    pub bare_user_only_dirs: bool,
    /// Copied files are made durable one by one.
    pub fsync: bool,
    /// Paths with a leading slash that are left out, with all below them.
    pub skip: PathSet,
}

impl Repo {
    /// Checks a commit out as `name` below the directory `at`.
    pub fn checkout_at(
        &self,
        options: &CheckoutOptions,
        at: impl AsFd,
        name: &Path,
        commit: &Checksum,
    ) -> Result<()> {
        let subpath = options.subpath.as_deref().unwrap_or("/");
        let entry = self.lookup(commit, subpath)?;
        let at = at.as_fd();
        let mut checkout = Checkout::new(self, options);
        match entry {
            Entry::Dir { tree, meta } => {
                let name = name.to_str().context("the destination is not UTF-8")?;
                checkout.directory(at, name, &tree, &meta)
            }
            Entry::File(checksum) => {
                // A single file goes into the destination as a directory.
                let file_name = subpath.rsplit('/').find(|part| !part.is_empty()).unwrap_or_default();
                match mkdirat(at, name, Permissions::from_raw_mode(0o777)) {
                    Err(Errno::EXIST) if options.overwrite != OverwriteMode::None => {}
                    made => made.context("mkdirat")?,
                }
                let dir = openat(at, name, crate::dirs::DIR_FLAGS, Permissions::empty())?;
                checkout.file(dir.as_fd(), &FileEntry { name: file_name, checksum })
            }
        }
    }

    /// As [`Repo::checkout_at`], below the current directory.
    pub fn checkout(&self, options: &CheckoutOptions, destination: &Path, commit: &Checksum) -> Result<()> {
        self.checkout_at(options, CWD, destination, commit)
    }
}

struct Checkout<'a> {
    repo: &'a Repo,
    options: &'a CheckoutOptions,
    /// Whether regular files may be hard links of objects.
    link: bool,
    xattrs: xattr::Reader,
    /// Metadata of directories: a tree has few kinds.
    metas: HashMap<Checksum, Rc<DirMeta>>,
    /// Path below the destination, kept only for skip lists.
    path: String,
}

impl<'a> Checkout<'a> {
    fn new(repo: &'a Repo, options: &'a CheckoutOptions) -> Self {
        Self {
            repo,
            options,
            // Hard links hold only what the repository stores as the file wants to be.
            link: !options.force_copy
                && match repo.mode() {
                    Mode::Bare => !options.user_mode,
                    Mode::BareUser => options.user_mode,
                    Mode::BareUserOnly => true,
                    Mode::Archive => false,
                },
            xattrs: xattr::Reader::new(),
            metas: HashMap::new(),
            path: String::new(),
        }
    }

    fn dirmeta(&mut self, checksum: &Checksum) -> Result<Rc<DirMeta>> {
        if let Some(known) = self.metas.get(checksum) {
            return Ok(Rc::clone(known));
        }
        let loaded = Rc::new(self.repo.load_dirmeta(checksum)?);
        self.metas.insert(*checksum, Rc::clone(&loaded));
        Ok(loaded)
    }

    fn directory(&mut self, at: BorrowedFd<'_>, name: &str, tree: &Checksum, meta: &Checksum) -> Result<()> {
        check_depth(&self.path)?;
        let meta = self.dirmeta(meta)?;
        let data = self.repo.load_dirtree(tree)?;
        let tree = self.repo.parse_dirtree(tree, &data)?;
        // The directory is closed to others until owner and mode are right.
        let make = || mkdirat(at, name, Permissions::from_raw_mode(0o700));
        let existed = match make() {
            Ok(()) => false,
            Err(Errno::EXIST)
                if self.replaces_other_kinds() && !self.path.is_empty() && !is_directory(at, name)? =>
            {
                remove_whole(at, name.as_bytes())?;
                make().with_context(|| format!("mkdirat({name})"))?;
                false
            }
            Err(Errno::EXIST) if self.options.overwrite != OverwriteMode::None => true,
            Err(Errno::EXIST) => {
                bail!("mkdirat({name}): File exists; choose another destination, or --union")
            }
            Err(error) => return Err(error).with_context(|| format!("mkdirat({name})")),
        };
        let nofollow = if self.path.is_empty() { OFlags::empty() } else { OFlags::NOFOLLOW };
        let dir = openat(at, name, crate::dirs::DIR_FLAGS | nofollow, Permissions::empty())
            .with_context(|| format!("Opening directory {name}"))?;
        if !existed && !self.options.user_mode {
            xattr::set_fd(&dir, &meta.meta().xattrs).with_context(|| name.to_owned())?;
        }
        if self.options.whiteouts {
            self.apply_layer_whiteouts(&dir, &tree.files)?;
        }
        let len = self.path.len();
        for file in &tree.files {
            if self.enter(len, file.name) {
                self.file(dir.as_fd(), file)?;
            }
            self.path.truncate(len);
        }
        for child in &tree.dirs {
            if self.enter(len, child.name) {
                self.directory(dir.as_fd(), child.name, &child.tree, &child.meta)?;
            }
            self.path.truncate(len);
        }
        // It belongs to whoever has made it: as in the C tools only its contents are changed.
        if existed {
            return Ok(());
        }
        self.finish_directory(dir.as_fd(), &meta)
            .with_context(|| format!("Setting metadata of directory {name}"))
    }

    /// Goes to `name` below the path of length `len`; whether it is wanted.
    fn enter(&mut self, len: usize, name: &str) -> bool {
        self.path.truncate(len);
        self.path.push('/');
        self.path.push_str(name);
        !self.options.skip.contains(&self.path) && !self.options.skip.contains_dir(&self.path)
    }

    fn finish_directory(&self, dir: BorrowedFd<'_>, meta: &DirMeta) -> Result<()> {
        let meta = meta.meta();
        if !self.options.user_mode {
            fchown(dir, Some(Uid::from_raw(meta.uid)), Some(Gid::from_raw(meta.gid)))?;
        }
        let kept = if self.options.bare_user_only_dirs || self.repo.mode() == Mode::BareUserOnly {
            0o775
        } else {
            0o7777
        };
        fchmod(dir, Permissions::from_raw_mode(meta.mode & kept))?;
        if !self.options.force_copy {
            futimens(dir, &EPOCH)?;
        }
        Ok(())
    }

    fn file(&mut self, dir: BorrowedFd<'_>, file: &FileEntry<'_>) -> Result<()> {
        if self.options.whiteouts && file.name.starts_with(LAYER_WHITEOUT) && !self.is_link(file)? {
            return Ok(());
        }
        if self.options.passthrough_whiteouts
            && let Some(name) = file.name.strip_prefix(PASSTHROUGH_WHITEOUT)
            && !self.is_link(file)?
        {
            return self.passthrough_whiteout(dir, name, &file.checksum);
        }
        if self.link
            && self
                .try_link(dir, file)
                .with_context(|| format!("Hardlinking {} to {}", file.checksum, file.name))?
        {
            return Ok(());
        }
        self.copy(dir, file).with_context(|| format!("Checking out {} to {}", file.checksum, file.name))
    }

    /// Makes a hard link of an object; false if it must be copied.
    fn try_link(&mut self, dir: BorrowedFd<'_>, file: &FileEntry<'_>) -> Result<bool> {
        let path = LoosePath::new(ObjectName::new(file.checksum, ObjectType::File), false);
        // A repository that stores links as files has to look first.
        if self.repo.mode() == Mode::BareUser && self.repo.load_file(&file.checksum)?.header.meta.is_symlink()
        {
            return Ok(false);
        }
        // Empty files are never links: a tree has so many equal ones that they reach a file system's bound.
        match statat(self.repo.objects(), path.as_str(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if stat.st_size == 0 => return Ok(false),
            Err(Errno::NOENT) => return Err(crate::RepoError::NoFile(file.checksum).into()),
            stat => drop(stat?),
        }
        let link = |name: &str| linkat(self.repo.objects(), path.as_str(), dir, name, AtFlags::empty());
        match link(file.name) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => self.link_over(dir, file, &path),

            // Another file system, too many links, or links to files of others are forbidden.
            Err(Errno::XDEV | Errno::MLINK | Errno::PERM) if !self.options.require_hardlinks => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn link_over(&mut self, dir: BorrowedFd<'_>, file: &FileEntry<'_>, path: &LoosePath) -> Result<bool> {
        match self.options.overwrite {
            OverwriteMode::None => Err(Errno::EXIST.into()),
            OverwriteMode::UnionAdd => Ok(true),
            OverwriteMode::Union => {
                let temporary = bytes::unique_name(".tmp-", 0);
                linkat(self.repo.objects(), path.as_str(), dir, temporary.as_str(), AtFlags::empty())?;
                let renamed = self.replace(dir, &temporary, file.name);
                // A rename onto another link of the same file does nothing and leaves both.
                unlinkat(dir, temporary.as_str(), AtFlags::empty()).ok();
                renamed.map(|()| true)
            }
            OverwriteMode::UnionIdentical => {
                let ours = statat(self.repo.objects(), path.as_str(), AtFlags::SYMLINK_NOFOLLOW)?;
                let there = statat(dir, file.name, AtFlags::SYMLINK_NOFOLLOW)?;
                if (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)
                    || self.is_identical(dir, file)?
                {
                    return Ok(true);
                }
                bail!("{}", identical_error(file.name))
            }
        }
    }

    /// Whether an upper layer is laid over a lower one, where a name may become something of another kind.
    fn replaces_other_kinds(&self) -> bool {
        self.options.whiteouts && self.options.overwrite == OverwriteMode::Union
    }

    /// Renames a new file over `name`.
    fn replace(&self, dir: BorrowedFd<'_>, temporary: &str, name: &str) -> Result<()> {
        let rename = || renameat(dir, temporary, dir, name);
        let step = || format!("Replacing {name}");
        match rename() {
            Err(Errno::ISDIR | Errno::NOTEMPTY | Errno::EXIST) if self.replaces_other_kinds() => {
                remove_whole(dir, name.as_bytes())?;
                rename().with_context(step)
            }
            renamed => renamed.with_context(step),
        }
    }

    /// Whether the file on disk has the checksum of the object, as far as the kind of checkout keeps it.
    fn is_identical(&mut self, dir: BorrowedFd<'_>, file: &FileEntry<'_>) -> Result<bool> {
        let ours = self.repo.load_file_with(&file.checksum, &mut self.xattrs)?;
        let there = statat(dir, file.name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = FileType::from_raw_mode(there.st_mode);
        if ours.header.meta.is_symlink() {
            return Ok(kind == FileType::Symlink
                && rustix::fs::readlinkat(dir, file.name, Vec::new())?.to_bytes()
                    == ours.header.target.as_bytes());
        }
        if kind != FileType::RegularFile || u64::try_from(there.st_size)? != ours.size {
            return Ok(false);
        }
        if !self.options.user_mode {
            let meta = &ours.header.meta;
            if (meta.uid, meta.gid, meta.mode) != (there.st_uid, there.st_gid, there.st_mode) {
                return Ok(false);
            }
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let theirs = File::from(openat(dir, file.name, flags, Permissions::empty())?);
        Ok(durable::same_contents(ours.content, theirs).map_err(std::io::Error::from)?)
    }

    fn copy(&mut self, dir: BorrowedFd<'_>, file: &FileEntry<'_>) -> Result<()> {
        if self.options.overwrite == OverwriteMode::UnionAdd && exists(dir, file.name)? {
            return Ok(());
        }
        let loaded = self.repo.load_file_with(&file.checksum, &mut self.xattrs)?;
        if self.options.require_hardlinks && !loaded.header.meta.is_symlink() && loaded.size > 0 {
            // The C tools say the first of an archive, too.
            let why = match (self.repo.mode(), self.options.user_mode) {
                (Mode::BareUser, false) => "User repository mode requires user checkout mode to hardlink",
                (Mode::Bare | Mode::Archive, true) | (Mode::Archive, false) => {
                    "Bare repository mode cannot hardlink in user checkout mode"
                }
                _ => {
                    "Unable to hardlink: the checkout lies on another file system, or the file has too many links"
                }
            };
            bail!("{why}; check out without --require-hardlinks");
        }
        if self.options.overwrite == OverwriteMode::UnionIdentical && exists(dir, file.name)? {
            if self.is_identical(dir, file)? {
                return Ok(());
            }
            bail!("{}", identical_error(file.name));
        }
        // The name appears with the whole file behind it.
        let temporary = bytes::unique_name(".tmp-", 0);
        let place = |this: &Self| -> Result<()> {
            this.write(dir, &temporary, loaded)?;
            match this.options.overwrite {
                OverwriteMode::Union => this.replace(dir, &temporary, file.name)?,
                _ => match renameat_with(dir, temporary.as_str(), dir, file.name, RenameFlags::NOREPLACE) {
                    // A file system that cannot rename without replacing.
                    Err(Errno::INVAL) if !exists(dir, file.name)? => {
                        renameat(dir, temporary.as_str(), dir, file.name)?
                    }
                    renamed => renamed?,
                },
            }
            Ok(())
        };
        place(self).inspect_err(|_| {
            unlinkat(dir, temporary.as_str(), AtFlags::empty()).ok();
        })
    }

    fn write(&self, dir: BorrowedFd<'_>, name: &str, loaded: LoadedFile) -> Result<()> {
        let meta = &loaded.header.meta;
        let owner = (Some(Uid::from_raw(meta.uid)), Some(Gid::from_raw(meta.gid)));
        if meta.is_symlink() {
            symlinkat(loaded.header.target.as_str(), dir, name)?;
            if !self.options.user_mode {
                chownat(dir, name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)?;
                if !meta.xattrs.is_empty() {
                    xattr::set_name(dir, name, &meta.xattrs)?;
                }
            }
            return Ok(());
        }
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let mut file = File::from(openat(dir, name, flags, Permissions::from_raw_mode(0o600))?);
        let cloned = match &loaded.content {
            Content::Plain(source) => ioctl_ficlone(&file, source).is_ok(),
            _ => false,
        };
        if !cloned {
            copy_content(loaded.content, &mut file, loaded.size)?;
        }
        if !self.options.user_mode {
            fchown(&file, owner.0, owner.1)?;
            xattr::set_fd(&file, &meta.xattrs)?;
        }
        // A user must be able to read his own checkout, whatever mode the commit gives.
        let mode = if self.options.user_mode { meta.mode & 0o1777 | 0o400 } else { meta.mode & 0o7777 };
        fchmod(&file, Permissions::from_raw_mode(mode))?;

        if self.options.fsync {
            fsync(&file)?;
        }
        Ok(())
    }

    fn passthrough_whiteout(&mut self, dir: BorrowedFd<'_>, name: &str, checksum: &Checksum) -> Result<()> {
        formats::object::check_name(name)?;
        let loaded = self.repo.load_file_with(checksum, &mut self.xattrs)?;
        let meta = &loaded.header.meta;
        let step = || format!("Creating whiteout {name}");
        let made =
            mknodat(dir, name, FileType::CharacterDevice, Permissions::from_raw_mode(meta.mode & 0o777), 0);
        match (made, self.options.overwrite) {
            (Err(Errno::EXIST), OverwriteMode::UnionAdd) => return Ok(()),
            (Err(Errno::EXIST), OverwriteMode::Union) => {
                remove_whole(dir, name.as_bytes())?;
                let mode = Permissions::from_raw_mode(meta.mode & 0o777);
                mknodat(dir, name, FileType::CharacterDevice, mode, 0).with_context(step)?;
            }
            (made, _) => made.with_context(step)?,
        }
        if !self.options.user_mode {
            let (uid, gid) = (Uid::from_raw(meta.uid), Gid::from_raw(meta.gid));
            chownat(dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).with_context(step)?;
            xattr::set_name(dir, name, &meta.xattrs)?;
        }
        rustix::fs::chmodat(dir, name, Permissions::from_raw_mode(meta.mode & 0o777), AtFlags::empty())
            .with_context(step)
    }

    /// Whether the file is a symbolic link, whose name never makes it a whiteout.
    fn is_link(&self, file: &FileEntry<'_>) -> Result<bool> {
        Ok(self.repo.load_file(&file.checksum)?.header.meta.is_symlink())
    }

    /// Removes what the whiteouts of this layer name, before its files come.
    fn apply_layer_whiteouts(&self, dir: &OwnedFd, files: &[FileEntry<'_>]) -> Result<()> {
        if files.iter().any(|file| file.name == LAYER_OPAQUE) {
            let mut names = Vec::new();
            crate::scan::entries(dir, |name, _| {
                names.push(name.to_vec());
                Ok(())
            })?;
            return names.iter().try_for_each(|name| remove_whole(dir.as_fd(), name));
        }
        for file in files {
            let Some(name) = file.name.strip_prefix(LAYER_WHITEOUT) else { continue };
            formats::object::check_name(name)?;
            if !self.is_link(file)? {
                remove_whole(dir.as_fd(), name.as_bytes())?;
            }
        }
        Ok(())
    }
}

/// Checkouts have one time, so that two of one commit are equal.
const EPOCH: Timestamps = Timestamps {
    last_access: Timespec { tv_sec: 0, tv_nsec: 0 },
    last_modification: Timespec { tv_sec: 0, tv_nsec: 0 },
};

fn identical_error(name: &str) -> String {
    format!("{name} already exists with different content, and --union-identical allows none")
}

fn is_directory(at: BorrowedFd<'_>, name: &str) -> Result<bool> {
    let stat = statat(at, name, AtFlags::SYMLINK_NOFOLLOW).with_context(|| format!("Looking at {name}"))?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

fn exists(dir: BorrowedFd<'_>, name: &str) -> Result<bool> {
    match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Copies a content of a known size; a stream that gives less or more is corrupt.
fn copy_content(content: Content, out: &mut File, size: u64) -> Result<()> {
    let mut limited = content.take(size.saturating_add(1));
    let copied = match limited.get_ref() {
        // The kernel copies between files by itself.
        Content::Plain(_) => match limited.into_inner() {
            Content::Plain(mut source) => std::io::copy(&mut source, out)?,
            _ => 0,
        },
        _ => {
            let mut buffer = vec![0; 128 * 1024];
            let mut copied = 0;
            loop {
                match limited.read(&mut buffer)? {
                    0 => break copied,
                    count => {
                        out.write_all(buffer.get(..count).unwrap_or_default())?;
                        copied += count as u64;
                    }
                }
            }
        }
    };
    if copied != size {
        bail!("the object holds {copied} bytes instead of {size}; run fsck");
    }
    Ok(())
}
