// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writing objects.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context as _, Result, bail};
use flate2::Compression;
use flate2::write::DeflateEncoder;
use fn_error_context::context;
use formats::gvariant::Value;
use formats::object::{
    ArchiveHeader, Commit, DirMeta, FileHeader, FileMeta, LoosePath, MAX_METADATA_SIZE, OSTREEMETA_XATTR,
    ObjectName, ObjectType,
};
use formats::{Checksum, Hasher};
use rustix::fs::{
    AtFlags, Gid, Mode as Permissions, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags, chownat, fchmod,
    fchown, fdatasync, fsetxattr, fstat, futimens, ioctl_ficlone, linkat, openat, renameat, statat,
    symlinkat, unlinkat,
};
use rustix::io::Errno;

use crate::free_space::Allowance;
use crate::staging::Staging;
use crate::{LockGuard, Mode, Progress, Refspec, Repo, RepoError, bytes, xattr};

/// Content up to this size is read whole before its object is made: one buffer, no temporary name.
const SMALL: usize = 1024 * 1024;
/// Piece of a larger content.
const PIECE: usize = 256 * 1024;

/// The work of a transaction, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Metadata objects that were offered.
    pub metadata_total: u64,
    /// Metadata objects that were new.
    pub metadata_written: u64,
    /// Files that were offered.
    pub content_total: u64,
    /// Files that were new.
    pub content_written: u64,
    /// Files that were known by device and inode, without reading them.
    pub cache_hits: u64,
    /// Bytes of new content.
    pub bytes_written: u64,
}

/// Objects and refs that become visible together. Dropped without [`Transaction::commit`], it leaves nothing.
#[derive(Debug)]
pub struct Transaction<'r> {
    watcher: Watcher<'r>,
    repo: &'r Repo,
    staging: Staging<'r>,
    _lock: LockGuard,
    allowance: Allowance,
    stats: Stats,
    refs: Vec<(Refspec, Checksum)>,
    detached: Vec<(Checksum, Value)>,
    /// Commits whose trees were written as a whole.
    whole: Vec<Checksum>,
    header: Vec<u8>,
    content: Vec<u8>,
    /// Whether the file system refused to share blocks once.
    no_clone: bool,
}

/// The caller's watcher; none for one that has no interest.
struct Watcher<'r>(Option<&'r mut dyn Progress>);

impl std::fmt::Debug for Watcher<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Watcher").field(&self.0.is_some()).finish()
    }
}

impl Repo {
    /// Begins a transaction: takes the shared lock and makes a staging directory.
    ///
    /// # Errors
    /// The repository can only be read, its lock is held by another process ([`RepoError::Locked`]), or the file system says no.
    pub fn begin(&self) -> Result<Transaction<'_>> {
        self.begin_watched(Watcher(None))
    }

    /// As [`Repo::begin`]; `progress` is told of every object that is offered to the transaction, and may cancel it.
    ///
    /// # Errors
    /// As [`Repo::begin`]. A transaction that is cancelled fails with [`RepoError::Cancelled`] at the next object.
    pub fn begin_with<'r>(&'r self, progress: &'r mut dyn Progress) -> Result<Transaction<'r>> {
        self.begin_watched(Watcher(Some(progress)))
    }

    #[context("Preparing to write to repository {}", self.path().display())]
    fn begin_watched<'r>(&'r self, watcher: Watcher<'r>) -> Result<Transaction<'r>> {
        if self.mode() == Mode::BareUserOnly {
            bail!("mode bare-user-only can only be read; use a repository of another mode");
        }
        let lock = self.lock_shared()?;
        self.furnish()?;
        self.clean_tmp()?;
        Ok(Transaction {
            watcher,
            repo: self,
            staging: Staging::new(self)?,
            _lock: lock,
            allowance: Allowance::of(self)?,
            stats: Stats::default(),
            refs: Vec::new(),
            detached: Vec::new(),
            whole: Vec::new(),
            header: Vec::new(),
            content: Vec::new(),
            no_clone: false,
        })
    }
}

impl Transaction<'_> {
    /// The repository that is written to.
    pub fn repo(&self) -> &Repo {
        self.repo
    }

    /// The work so far.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Counts a metadata object that was offered before.
    pub(crate) fn count_known_metadata(&mut self) -> Result<()> {
        self.count_metadata()
    }

    /// Counts a file of the repository that goes into another tree as it is.
    pub(crate) fn count_known_content(&mut self) -> Result<()> {
        self.count_content()
    }

    /// Counts a file that is known without reading it.
    pub(crate) fn count_cache_hit(&mut self) -> Result<()> {
        self.stats.cache_hits += 1;
        self.count_content()
    }

    fn count_metadata(&mut self) -> Result<()> {
        self.stats.metadata_total += 1;
        self.tell()
    }

    fn count_content(&mut self) -> Result<()> {
        self.stats.content_total += 1;
        self.tell()
    }

    fn tell(&mut self) -> Result<()> {
        let Some(watcher) = &mut self.watcher.0 else { return Ok(()) };
        watcher.advance(self.stats.metadata_total + self.stats.content_total, None);
        if watcher.is_cancelled() { Err(RepoError::Cancelled.into()) } else { Ok(()) }
    }

    fn path(&self, name: ObjectName) -> LoosePath {
        self.repo.loose_path(name)
    }

    /// Whether an object exists, in the repository or in this transaction.
    pub fn has(&self, name: ObjectName) -> Result<bool> {
        self.staging.has(self.path(name).as_str())
    }

    /// Writes a metadata object that its own bytes name.
    pub fn write_metadata(&mut self, kind: ObjectType, data: &[u8]) -> Result<Checksum> {
        let name = ObjectName::new(Checksum::of(data), kind);
        if data.len() as u64 > MAX_METADATA_SIZE {
            bail!(
                "object {name} has {} bytes, above the bound of {MAX_METADATA_SIZE}; split the directory",
                data.len()
            );
        }
        self.count_metadata()?;
        let path = self.path(name);
        if !self.staging.has(path.as_str())? {
            let mut file = self.create(path.as_str())?;
            file.write_all(data).with_context(|| self.describe(name))?;
            self.finish_file(&file, 0o644).with_context(|| self.describe(name))?;
            self.stats.metadata_written += 1;
        }
        Ok(name.checksum)
    }

    /// Writes owner, mode and xattrs of a directory.
    pub fn write_dirmeta(&mut self, meta: &DirMeta) -> Result<Checksum> {
        self.write_metadata(ObjectType::DirMeta, &meta.serialize())
    }

    /// Writes a commit whose tree was written before, so that it is not partial, whatever it was.
    pub fn write_commit(&mut self, commit: &Commit) -> Result<Checksum> {
        let checksum = self.write_metadata(ObjectType::Commit, &commit.serialize()?)?;
        self.whole.push(checksum);
        Ok(checksum)
    }

    /// Sets the metadata beside a commit when the transaction is committed.
    pub fn set_detached_metadata(&mut self, commit: Checksum, metadata: Value) {
        self.detached.push((commit, metadata));
    }

    /// Points a ref at a commit when the transaction is committed.
    pub fn set_ref(&mut self, refspec: Refspec, commit: Checksum) {
        self.refs.push((refspec, commit));
    }

    fn describe(&self, name: ObjectName) -> String {
        format!("Writing object {name} in {}", self.repo.path().display())
    }

    fn create(&mut self, path: &str) -> Result<File> {
        self.staging.prepare(path)?;
        self.create_at(path)
    }

    fn create_at(&self, path: &str) -> Result<File> {
        // A file that will be setuid or secret stays closed to others until its mode is set.
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = openat(self.staging.dir(), path, flags, Permissions::from_raw_mode(0o600));
        Ok(File::from(file.with_context(|| format!("Creating object {path}"))?))
    }

    fn finish_file(&self, file: impl AsFd, mode: u32) -> Result<()> {
        fchmod(&file, Permissions::from_raw_mode(mode & 0o7777))?;
        if self.repo.settings().per_object_fsync && self.repo.settings().fsync {
            fdatasync(&file)?;
        }
        Ok(())
    }

    /// Writes a symbolic link.
    pub fn write_symlink(&mut self, header: &FileHeader) -> Result<Checksum> {
        let hasher = self.start_hash(header);
        let name = ObjectName::new(hasher.finish(), ObjectType::File);
        self.store_small(name, header, &[])?;
        Ok(name.checksum)
    }

    fn start_hash(&mut self, header: &FileHeader) -> Hasher {
        header.write_framed(&mut self.header);
        let mut hasher = Hasher::new();
        hasher.update(&self.header);
        hasher
    }

    /// Writes a regular file of about `size` bytes. A content up to 1 MiB is read once and hashed before anything
    /// is written; a larger one is hashed while it is copied, or shares its blocks where the file system can.
    pub fn write_file(
        &mut self,
        header: &FileHeader,
        content: &mut (impl Read + MaybeFile),
        size: u64,
    ) -> Result<Checksum> {
        let mut hasher = self.start_hash(header);
        let mut buffer = std::mem::take(&mut self.content);
        buffer.resize(SMALL + 1, 0);
        let written = (|| {
            let len = read_up_to(content, &mut buffer, size).context("Reading content")?;
            let start = buffer.get(..len).unwrap_or_default();
            hasher.update(start);
            if len > SMALL {
                return self.write_large(header, content, size, start, hasher);
            }
            let name = ObjectName::new(hasher.finish(), ObjectType::File);
            self.store_small(name, header, start)?;
            Ok(name.checksum)
        })();
        self.content = buffer;
        written
    }

    /// Stores a link or a content that is known as a whole.
    fn store_small(&mut self, name: ObjectName, header: &FileHeader, content: &[u8]) -> Result<()> {
        self.count_content()?;
        let path = self.path(name);
        if self.staging.has(path.as_str())? {
            return Ok(());
        }
        self.allowance.take(content.len() as u64).with_context(|| self.describe(name))?;
        let step = self.describe(name);
        self.store(path.as_str(), header, content).context(step)?;
        self.stats.content_written += 1;
        self.stats.bytes_written += content.len() as u64;
        Ok(())
    }

    fn store(&mut self, path: &str, header: &FileHeader, content: &[u8]) -> Result<()> {
        let meta = &header.meta;
        match self.repo.mode() {
            Mode::Bare if meta.is_symlink() => self.store_bare_link(path, header),
            Mode::Bare | Mode::BareUserOnly => {
                let mut file = self.create(path)?;
                file.write_all(content)?;
                self.finish_bare(&file, meta)
            }
            Mode::BareUser => {
                let mut file = self.create(path)?;
                file.write_all(if meta.is_symlink() { header.target.as_bytes() } else { content })?;
                if meta.is_symlink() {
                    // A text of C.
                    file.write_all(&[0])?;
                }
                self.finish_bare_user(&file, meta)
            }
            Mode::Archive => {
                let mut file = self.create(path)?;
                let archive = ArchiveHeader { size: content.len() as u64, file: header.clone() };
                let mut out = Vec::with_capacity(content.len() / 2 + 128);
                archive.write_framed(&mut out);
                if !meta.is_symlink() {
                    let level = Compression::new(self.repo.settings().zlib_level);
                    let mut encoder = DeflateEncoder::new(&mut out, level);
                    encoder.write_all(content)?;
                    encoder.finish()?;
                }
                file.write_all(&out)?;
                self.finish_file(&file, 0o644)
            }
        }
    }

    fn store_bare_link(&mut self, path: &str, header: &FileHeader) -> Result<()> {
        self.staging.prepare(path)?;
        let dir = self.staging.dir();
        symlinkat(header.target.as_str(), dir, path)?;
        let (uid, gid) = (Uid::from_raw(header.meta.uid), Gid::from_raw(header.meta.gid));
        chownat(dir, path, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).context("Setting the owner")?;
        if !header.meta.xattrs.is_empty() {
            xattr::set_name(dir, path, &header.meta.xattrs)?;
        }
        Ok(())
    }

    fn finish_bare(&self, file: &File, meta: &FileMeta) -> Result<()> {
        fchown(file, Some(Uid::from_raw(meta.uid)), Some(Gid::from_raw(meta.gid))).with_context(|| {
            format!(
                "Setting the owner to {}:{}; use a bare-user or archive repository, or run as root",
                meta.uid, meta.gid
            )
        })?;
        xattr::set_fd(file, &meta.xattrs)?;
        set_epoch(file)?;
        self.finish_file(file, meta.mode)
    }

    fn finish_bare_user(&self, file: &File, meta: &FileMeta) -> Result<()> {
        fsetxattr(file, OSTREEMETA_XATTR, &meta.serialize(), XattrFlags::empty())
            .with_context(|| format!("Setting extended attribute {OSTREEMETA_XATTR}"))?;
        // The object's own mode keeps what is harmless, so that checkouts of a user can be hard links.
        let mode = if meta.is_symlink() { 0o644 } else { meta.mode & 0o775 | 0o400 };
        set_epoch(file)?;
        self.finish_file(file, mode)
    }

    /// Stores a content whose first piece, `start`, was read and hashed.
    fn write_large(
        &mut self,
        header: &FileHeader,
        content: &mut (impl Read + MaybeFile),
        size: u64,
        start: &[u8],
        mut hasher: Hasher,
    ) -> Result<Checksum> {
        self.count_content()?;
        self.allowance.take(size).context("Writing content object")?;
        // Outside of the directories that are moved to the objects.
        let temporary = bytes::unique_name("large-", 0);
        let mut file = self.create_at(&temporary)?;
        let cleanup =
            |transaction: &Self| unlinkat(transaction.staging.dir(), temporary.as_str(), AtFlags::empty());
        let copied = if self.repo.mode().is_archive() {
            let archive = ArchiveHeader { size, file: header.clone() };
            archive.write_framed(&mut self.header);
            file.write_all(&self.header).map_err(anyhow::Error::from).and_then(|()| {
                let level = Compression::new(self.repo.settings().zlib_level);
                let mut encoder = DeflateEncoder::new(&mut file, level);
                let copied = copy(content, start, &mut hasher, &mut encoder)?;
                encoder.finish()?;
                if copied != size {
                    bail!("the file has {copied} bytes, not {size}: it changed while it was read");
                }
                Ok(copied)
            })
        } else {
            self.copy_plain(content, start, &mut hasher, &mut file)
        };
        let copied = copied.context("Writing content object").inspect_err(|_| {
            cleanup(self).ok();
        })?;
        let name = ObjectName::new(hasher.finish(), ObjectType::File);
        let path = self.path(name);
        if self.staging.has(path.as_str())? {
            cleanup(self)?;
            return Ok(name.checksum);
        }
        match self.repo.mode() {
            Mode::Archive => self.finish_file(&file, 0o644),
            Mode::BareUser => self.finish_bare_user(&file, &header.meta),
            Mode::Bare | Mode::BareUserOnly => self.finish_bare(&file, &header.meta),
        }
        .with_context(|| self.describe(name))?;
        self.staging.prepare(path.as_str())?;
        renameat(self.staging.dir(), temporary.as_str(), self.staging.dir(), path.as_str())?;
        self.stats.content_written += 1;
        self.stats.bytes_written += copied;
        Ok(name.checksum)
    }

    /// Copies to a file, sharing blocks if possible: then the copy is what gets hashed, since the source may
    /// still change.
    fn copy_plain(
        &mut self,
        content: &mut (impl Read + MaybeFile),
        start: &[u8],
        hasher: &mut Hasher,
        file: &mut File,
    ) -> Result<u64> {
        if let Some(source) = content.as_file().filter(|_| !self.no_clone) {
            match ioctl_ficlone(&*file, source) {
                Ok(()) => return self.hash_clone(hasher, file),
                Err(_) => self.no_clone = true,
            }
        }
        copy(content, start, hasher, file)
    }

    /// Hashes a clone as a whole; what was hashed of the source before counts for nothing.
    fn hash_clone(&self, hasher: &mut Hasher, file: &File) -> Result<u64> {
        *hasher = Hasher::new();
        hasher.update(&self.header);
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(file));
        let mut reader = File::open(path).context("Reading a clone")?;
        copy(&mut reader, &[], hasher, &mut std::io::sink())
    }

    /// Adds an object of another repository as a hard link, if both lie on one file system. Whether it was linked
    /// or was there already.
    pub fn link_from(&mut self, from: &Repo, name: ObjectName) -> Result<bool> {
        let path = self.path(name);
        self.staging.prepare(path.as_str())?;
        match linkat(
            from.objects(),
            from.loose_path(name).as_str(),
            self.staging.dir(),
            path.as_str(),
            AtFlags::empty(),
        ) {
            Ok(()) => {
                match name.kind {
                    ObjectType::File => {
                        self.stats.content_written += 1;
                        self.count_content()?;
                    }
                    _ => {
                        self.stats.metadata_written += 1;
                        self.count_metadata()?;
                    }
                }
                Ok(true)
            }
            Err(Errno::EXIST) => Ok(true),
            // Another file system, too many links, or links to files of others are forbidden.
            Err(Errno::XDEV | Errno::MLINK | Errno::PERM | Errno::ACCESS) => Ok(false),
            Err(Errno::NOENT) if !from.has_object(name)? => Err(RepoError::missing(name))
                .with_context(|| format!("Linking it from {}", from.path().display())),
            Err(error) => {
                Err(error).with_context(|| format!("Linking object {name} from {}", from.path().display()))
            }
        }
    }

    /// Makes the objects that were written until now durable and visible; the transaction goes on.
    pub(crate) fn publish_objects(&mut self) -> Result<()> {
        self.staging.publish()
    }

    /// Bytes that an object takes in this transaction; none if it was there before.
    pub(crate) fn staged_size(&self, checksum: Checksum) -> Result<u64> {
        let path = self.path(ObjectName::new(checksum, ObjectType::File));
        match statat(self.staging.dir(), path.as_str(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(u64::try_from(stat.st_size)?),
            Err(Errno::NOENT) => Ok(0),
            Err(error) => Err(error).with_context(|| path.as_str().to_owned()),
        }
    }

    /// Makes an open file an object of a bare repository by a hard link. The file, `name` in `dir`, has owner, mode and attributes
    /// of the object already. Nothing where it cannot be linked.
    pub(crate) fn link_file(
        &mut self,
        (dir, name): (BorrowedFd<'_>, &str),
        file: &mut File,
        header: &FileHeader,
    ) -> Result<Option<Checksum>> {
        let temporary = bytes::unique_name("linked-", 0);
        match linkat(dir, name, self.staging.dir(), temporary.as_str(), AtFlags::empty()) {
            Err(Errno::XDEV | Errno::MLINK | Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP) => {
                return Ok(None);
            }
            linked => linked.context("Linking it into the repository")?,
        }
        let adopted = self.adopt(&temporary, file, header);
        // After an error, or where the object was there already.
        unlinkat(self.staging.dir(), temporary.as_str(), AtFlags::empty()).ok();
        adopted.map(Some)
    }

    fn adopt(&mut self, temporary: &str, file: &mut File, header: &FileHeader) -> Result<Checksum> {
        let identity =
            |stat: Stat| (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime, stat.st_mtime_nsec);
        let before = identity(fstat(&*file)?);
        let mut hasher = self.start_hash(header);
        let size = copy(file, &[], &mut hasher, &mut std::io::sink()).context("Reading content")?;
        let linked = statat(self.staging.dir(), temporary, AtFlags::SYMLINK_NOFOLLOW)?;
        if before != identity(linked) || i64::try_from(size)? != before.2 {
            bail!("it changed while it was read");
        }
        let name = ObjectName::new(hasher.finish(), ObjectType::File);
        self.count_content()?;
        let path = self.path(name);
        if !self.staging.has(path.as_str())? {
            self.staging.prepare(path.as_str())?;
            if self.repo.settings().per_object_fsync && self.repo.settings().fsync {
                fdatasync(&*file)?;
            }
            renameat(self.staging.dir(), temporary, self.staging.dir(), path.as_str())?;
            self.stats.content_written += 1;
            self.stats.bytes_written += size;
        }
        Ok(name.checksum)
    }

    /// Makes the objects durable and visible, then the metadata beside commits, then the refs.
    pub fn commit(mut self) -> Result<Stats> {
        self.staging.publish()?;
        for commit in &self.whole {
            self.repo.set_partial(commit, None)?;
        }
        for (commit, metadata) in std::mem::take(&mut self.detached) {
            self.repo.write_detached_metadata(&commit, &metadata)?;
        }
        // Nothing else is left to do when the refs are set, which is the order of a plan.
        drop(self.staging);
        for (refspec, commit) in self.refs {
            self.repo.set_ref(&refspec, &commit)?;
        }
        Ok(self.stats)
    }
}

impl Repo {
    /// Replaces the metadata beside a commit.
    pub fn write_detached_metadata(&self, commit: &Checksum, metadata: &Value) -> Result<()> {
        let name = ObjectName::new(*commit, ObjectType::CommitMeta);
        let path = self.loose_path(name);
        bytes::replace_object(self.dir(), path.as_str(), metadata.data())
            .with_context(|| format!("Writing object {name}"))
    }
}

/// A content that may be a file, whose blocks could be shared.
pub trait MaybeFile {
    /// The file, positioned anywhere.
    fn as_file(&self) -> Option<&File> {
        None
    }
}

impl MaybeFile for File {
    fn as_file(&self) -> Option<&File> {
        Some(self)
    }
}

impl MaybeFile for crate::Content {
    fn as_file(&self) -> Option<&File> {
        match self {
            Self::Plain(file) => Some(file),
            _ => None,
        }
    }
}

impl MaybeFile for &[u8] {}

/// Objects have one time, so that hard links in checkouts have it too.
fn set_epoch(file: &File) -> Result<()> {
    let epoch = Timespec { tv_sec: 0, tv_nsec: 0 };
    futimens(file, &Timestamps { last_access: epoch, last_modification: epoch }).context("Setting the time")
}

/// Fills `buffer` from `content` until its end. A local file whose `size` was read completely needs no further
/// call to learn that it ended.
fn read_up_to(content: &mut (impl Read + MaybeFile), buffer: &mut [u8], size: u64) -> std::io::Result<usize> {
    let is_file = content.as_file().is_some();
    let mut len = 0;
    while let Some(rest) = buffer.get_mut(len..).filter(|rest| !rest.is_empty()) {
        match content.read(rest) {
            Ok(0) => break,
            Ok(count) => len += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if is_file && len as u64 == size {
            break;
        }
    }
    Ok(len)
}

/// Writes `start`, which is hashed already, and the rest of `content`, hashing it; the number of bytes.
fn copy(content: &mut impl Read, start: &[u8], hasher: &mut Hasher, out: &mut impl Write) -> Result<u64> {
    out.write_all(start)?;
    let mut total = start.len() as u64;
    let mut buffer = vec![0; PIECE];
    loop {
        match content.read(&mut buffer) {
            Ok(0) => return Ok(total),
            Ok(count) => {
                let piece = buffer.get(..count).unwrap_or_default();
                hasher.update(piece);
                out.write_all(piece)?;
                total += count as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}
