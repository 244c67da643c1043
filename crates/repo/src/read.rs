// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading objects.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context as _, Result};
use flate2::read::DeflateDecoder;
use fn_error_context::context;
use formats::Checksum;
use formats::gvariant::Value;
use formats::object::{
    ArchiveHeader, Commit, DirMeta, DirTree, FileHeader, FileMeta, LoosePath, MAX_METADATA_SIZE,
    OSTREEMETA_XATTR, ObjectError, ObjectName, ObjectType, Xattrs,
};
use rustix::fs::{AtFlags, OFlags, fstat, readlinkat, statat};
use rustix::io::Errno;

use crate::{Mode, Repo, RepoError, xattr};

/// A file object: what it is, and a reader of its content.
#[derive(Debug)]
pub struct LoadedFile {
    /// Owner, mode, xattrs, link target.
    pub header: FileHeader,
    /// Bytes of the content.
    pub size: u64,
    /// The content.
    pub content: Content,
}

/// The content of a file object, not decompressed before it is read.
#[derive(Debug)]
pub enum Content {
    /// A symbolic link has none.
    Link,
    /// The object itself.
    Plain(File),
    /// The deflate stream of an archive repository.
    Deflated(Box<Unpacked>),
}

/// A deflate stream that gives no more bytes than its header declares: a few of them may unpack to all of a disk.
#[derive(Debug)]
pub struct Unpacked {
    stream: DeflateDecoder<BufReader<File>>,
    declared: u64,
    left: u64,
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.left == 0 {
            if self.stream.read(&mut [0])? == 0 {
                return Ok(0);
            }
            let reason = format!(
                "Corrupted file object; it unpacks to more than the {} bytes that its header declares",
                self.declared
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        let room = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = self.stream.read(buffer.get_mut(..room).unwrap_or_default())?;
        self.left -= count as u64;
        Ok(count)
    }
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Link => Ok(0),
            Self::Plain(file) => file.read(buffer),
            Self::Deflated(stream) => stream.read(buffer),
        }
    }
}

impl Repo {
    pub(crate) fn loose_path(&self, name: ObjectName) -> LoosePath {
        LoosePath::new(name, self.mode().is_archive())
    }

    /// Whether the repository holds an object.
    pub fn has_object(&self, name: ObjectName) -> Result<bool> {
        match statat(self.objects(), self.loose_path(name).as_str(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error).with_context(|| format!("Looking for object {name}")),
        }
    }

    /// Whether hard links between two repositories are possible.
    pub fn dir_is_on_same_file_system(&self, other: &Repo) -> Result<bool> {
        Ok(fstat(self.objects())?.st_dev == fstat(other.objects())?.st_dev)
    }

    /// Bytes that a loose object takes as a file.
    pub fn object_size(&self, name: ObjectName) -> Result<u64> {
        let stat = statat(self.objects(), self.loose_path(name).as_str(), AtFlags::SYMLINK_NOFOLLOW)
            .with_context(|| format!("Asking for the size of object {name}"))?;
        Ok(u64::try_from(stat.st_size)?)
    }

    fn open_object(&self, name: ObjectName) -> Result<OwnedFd, Errno> {
        durable::open_to_read(self.objects(), self.loose_path(name).as_str(), OFlags::NOFOLLOW)
    }

    /// The bytes of a metadata object, whose checksum is verified where it names them.
    ///
    /// Errors: [`RepoError::NoMetadata`], [`RepoError::Corrupt`].
    pub fn load_metadata(&self, name: ObjectName) -> Result<Vec<u8>> {
        let data = self.read_metadata(name)?.ok_or(RepoError::NoMetadata(name))?;
        if name.kind.is_hashed_metadata() {
            let found = Checksum::of(&data);
            if found != name.checksum {
                let reason = format!("checksum expected='{}' actual='{found}'", name.checksum);
                return Err(RepoError::Corrupt { name, reason }.into());
            }
        }
        Ok(data)
    }

    /// The bytes of a metadata object as they are, if there is one.
    fn read_metadata(&self, name: ObjectName) -> Result<Option<Vec<u8>>> {
        let mut file = match self.open_object(name) {
            Err(Errno::NOENT) => return Ok(None),
            file => File::from(file.with_context(|| format!("Opening object {name}"))?),
        };
        let size = file.metadata().with_context(|| format!("Reading object {name}"))?.len();
        if size > MAX_METADATA_SIZE {
            let reason = format!("{size} bytes, above the bound of {MAX_METADATA_SIZE}");
            return Err(RepoError::Corrupt { name, reason }.into());
        }
        // No second call only to be told that this was all: a commit has an object for each directory.
        let mut data = vec![0; usize::try_from(size)?];
        file.read_exact(&mut data).with_context(|| format!("Reading object {name}"))?;
        Ok(Some(data))
    }

    /// A commit.
    pub fn load_commit(&self, checksum: &Checksum) -> Result<Commit> {
        let name = ObjectName::new(*checksum, ObjectType::Commit);
        let data = self.load_metadata(name)?;
        Commit::parse(&data).map_err(|error| corrupt(name, &error))
    }

    /// The metadata beside a commit, if any.
    pub fn load_detached_metadata(&self, commit: &Checksum) -> Result<Option<Value>> {
        let name = ObjectName::new(*commit, ObjectType::CommitMeta);
        match self.read_metadata(name)? {
            None => Ok(None),
            Some(data) => {
                Ok(Some(Value::from_bytes("a{sv}", data).map_err(|error| corrupt(name, &error.into()))?))
            }
        }
    }

    /// The bytes of a directory tree; [`DirTree::parse`] reads them in place.
    pub fn load_dirtree(&self, checksum: &Checksum) -> Result<Vec<u8>> {
        if let Some(data) = self.remembered().get(checksum) {
            return Ok(data);
        }
        let data = self.load_metadata(ObjectName::new(*checksum, ObjectType::DirTree))?;
        self.remembered().put(checksum, &data);
        Ok(data)
    }

    /// Reads bytes from [`Repo::load_dirtree`].
    pub fn parse_dirtree<'a>(&self, checksum: &Checksum, data: &'a [u8]) -> Result<DirTree<'a>> {
        DirTree::parse(data).map_err(|error| corrupt(ObjectName::new(*checksum, ObjectType::DirTree), &error))
    }

    /// Owner, mode and xattrs of a directory.
    pub fn load_dirmeta(&self, checksum: &Checksum) -> Result<DirMeta> {
        let name = ObjectName::new(*checksum, ObjectType::DirMeta);
        let data = self.load_metadata(name)?;
        DirMeta::parse(&data).map_err(|error| corrupt(name, &error))
    }

    /// A file: its header, and its content to be read.
    ///
    /// Errors: [`RepoError::NoFile`], [`RepoError::Corrupt`]. Whether the content is what the checksum names is
    /// not known before it was read.
    pub fn load_file(&self, checksum: &Checksum) -> Result<LoadedFile> {
        let mut xattrs = xattr::Reader::new();
        self.load_file_with(checksum, &mut xattrs)
    }

    /// The bytes of a file's contents, without opening it where that is possible; of a link what its target takes.
    pub fn file_size(&self, checksum: &Checksum) -> Result<u64> {
        match self.mode() {
            Mode::Archive => Ok(self.load_file(checksum)?.size),
            _ => self.object_size(ObjectName::new(*checksum, ObjectType::File)),
        }
    }

    /// A file's header and the bytes of its content, without opening it where that is possible: who may not read a file may still
    /// know what it is. Without `xattrs`, the header may lack the extended attributes.
    ///
    /// # Errors
    /// As [`Repo::load_file`].
    pub fn describe_file(&self, checksum: &Checksum, xattrs: bool) -> Result<(FileHeader, u64)> {
        let name = ObjectName::new(*checksum, ObjectType::File);
        if xattrs || !matches!(self.mode(), Mode::Bare | Mode::BareUserOnly) {
            let file = self.load_file(checksum)?;
            return Ok((file.header, file.size));
        }
        let path = self.loose_path(name);
        let step = || format!("Looking at object {name}");
        let stat = match statat(self.objects(), path.as_str(), AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Err(RepoError::NoFile(*checksum).into()),
            stat => stat.with_context(step)?,
        };
        let (uid, gid) = if self.mode() == Mode::Bare { (stat.st_uid, stat.st_gid) } else { (0, 0) };
        let meta = FileMeta { uid, gid, mode: stat.st_mode, xattrs: Xattrs::empty() };
        let target = match meta.is_symlink() {
            true => readlinkat(self.objects(), path.as_str(), Vec::new()).with_context(step)?,
            false => std::ffi::CString::default(),
        };
        let size = if meta.is_symlink() { 0 } else { u64::try_from(stat.st_size)? };
        let target = target.into_string().context("link target that is not UTF-8")?;
        Ok((FileHeader::new(meta, target).map_err(|error| corrupt(name, &error))?, size))
    }

    /// As [`Repo::load_file`], with the buffers of a caller who loads many.
    #[context("Loading file object {checksum}")]
    pub(crate) fn load_file_with(
        &self,
        checksum: &Checksum,
        xattrs: &mut xattr::Reader,
    ) -> Result<LoadedFile> {
        let name = ObjectName::new(*checksum, ObjectType::File);
        let file = match self.open_object(name) {
            // A symbolic link of a bare repository.
            Err(Errno::LOOP) if !self.mode().is_archive() => return self.load_link(name, xattrs),
            Err(Errno::NOENT) => return Err(RepoError::NoFile(*checksum).into()),
            file => File::from(file?),
        };
        match self.mode() {
            Mode::Archive => load_archived(name, file),
            Mode::BareUser => load_bare_user(name, file),
            Mode::Bare | Mode::BareUserOnly => {
                let stat = fstat(&file)?;
                let owned = self.mode() == Mode::Bare;
                let xattrs = if owned { xattrs.of_fd(&file)? } else { Xattrs::empty() };
                let (uid, gid) = if owned { (stat.st_uid, stat.st_gid) } else { (0, 0) };
                let meta = FileMeta { uid, gid, mode: stat.st_mode, xattrs };
                let header = FileHeader::new(meta, String::new()).map_err(|error| corrupt(name, &error))?;
                Ok(LoadedFile { header, size: u64::try_from(stat.st_size)?, content: Content::Plain(file) })
            }
        }
    }

    fn load_link(&self, name: ObjectName, xattrs: &mut xattr::Reader) -> Result<LoadedFile> {
        let path = self.loose_path(name);
        let stat = statat(self.objects(), path.as_str(), AtFlags::SYMLINK_NOFOLLOW)?;
        let target = readlinkat(self.objects(), path.as_str(), Vec::new())?;
        let target = target.into_string().context("link target that is not UTF-8")?;
        let meta = match self.mode() {
            Mode::Bare => {
                let xattrs = xattrs.of_name(self.objects().as_fd(), path.as_str())?;
                FileMeta { uid: stat.st_uid, gid: stat.st_gid, mode: stat.st_mode, xattrs }
            }
            _ => FileMeta { uid: 0, gid: 0, mode: stat.st_mode, xattrs: Xattrs::empty() },
        };
        let header = FileHeader::new(meta, target).map_err(|error| corrupt(name, &error))?;
        Ok(LoadedFile { header, size: 0, content: Content::Link })
    }
}

/// The error for an object whose bytes are no such object.
pub(crate) fn corrupt(name: ObjectName, error: &ObjectError) -> anyhow::Error {
    RepoError::Corrupt { name, reason: error.to_string() }.into()
}

fn load_bare_user(name: ObjectName, mut file: File) -> Result<LoadedFile> {
    let broken = |reason: &str| RepoError::Corrupt { name, reason: reason.to_owned() };
    let meta = xattr::get(&file, OSTREEMETA_XATTR)?.ok_or_else(|| broken("no user.ostreemeta attribute"))?;
    let meta = FileMeta::parse(&meta).map_err(|error| corrupt(name, &error))?;
    if !meta.is_symlink() {
        let header = FileHeader::new(meta, String::new()).map_err(|error| corrupt(name, &error))?;
        let size = file.metadata().with_context(|| format!("Reading object {name}"))?.len();
        return Ok(LoadedFile { header, size, content: Content::Plain(file) });
    }
    // A link's target is the content here; Linux bounds it by a page.
    let mut target = String::new();
    file.by_ref().take(1 << 16).read_to_string(&mut target)?;
    let target = target.trim_end_matches('\0').to_owned();
    let header = FileHeader::new(meta, target).map_err(|error| corrupt(name, &error))?;
    Ok(LoadedFile { header, size: 0, content: Content::Link })
}

fn load_archived(name: ObjectName, file: File) -> Result<LoadedFile> {
    let broken = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            anyhow::Error::from(RepoError::Corrupt { name, reason: "the file is cut short".to_owned() })
        }
        _ => anyhow::Error::from(error).context(format!("Reading object {name}")),
    };
    let mut file = BufReader::with_capacity(64 * 1024, file);
    let mut frame = [0; 8];
    file.read_exact(&mut frame).map_err(broken)?;
    let len = ArchiveHeader::frame(frame).map_err(|error| corrupt(name, &error))?;
    if len as u64 > file.get_ref().metadata().map_err(broken)?.len() {
        return Err(
            RepoError::Corrupt { name, reason: "the header is larger than the file".to_owned() }.into()
        );
    }
    let mut header = vec![0; len];
    file.read_exact(&mut header).map_err(broken)?;
    let header = ArchiveHeader::parse(&header).map_err(|error| corrupt(name, &error))?;
    let content = match header.file.meta.is_symlink() {
        true => Content::Link,
        false => Content::Deflated(Box::new(Unpacked {
            stream: DeflateDecoder::new(file),
            declared: header.size,
            left: header.size,
        })),
    };
    Ok(LoadedFile { header: header.file, size: header.size, content })
}
