// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files: the header that is hashed before the content, and the one that archive repositories store.
//!
//! ```text
//! 0        4        8                  8+size
//! ┌────────┬────────┬──────────────────┬─────────────┐
//! │ size   │ 0 0 0 0│ header           │ content …   │   size: u32, big-endian
//! └────────┴────────┴──────────────────┴─────────────┘
//! ```
//!
//! An archive repository stores that with the archive header, and with the content as a raw deflate stream.

use super::error::ObjectError;
use super::file_type::{S_IFLNK, S_IFMT, S_IFREG};
use super::xattrs::{self, Xattrs};
use crate::gvariant::Variant;

/// Size and padding before the header, in bytes.
const FRAME: usize = 8;
/// Headers above this are refused: xattrs of a file have at most 64 KiB in Linux, and a link 4 KiB, but a
/// tree may come from elsewhere. Same bound as for metadata objects in OSTree.
pub const MAX_HEADER_SIZE: usize = 16 * 1024 * 1024;
/// Where bare-user repositories keep a file's owner, mode and xattrs: a serialised [`FileMeta`].
pub const OSTREEMETA_XATTR: &str = "user.ostreemeta";

/// Owner, mode and extended attributes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileMeta {
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Mode with its type bits.
    pub mode: u32,
    /// Extended attributes.
    pub xattrs: Xattrs,
}

impl FileMeta {
    /// Reads a `(uuua(ayay))`, as dirmeta objects and the xattr of bare-user repositories hold it.
    pub fn parse(data: &[u8]) -> Result<Self, ObjectError> {
        let meta = Variant::new("(uuua(ayay))", data)?;
        meta.check_normal()?;
        let number = |index| -> Result<u32, ObjectError> { Ok(meta.child(index)?.as_u32()?.swap_bytes()) };
        let xattrs = Xattrs::from_variant(meta.child(3)?)?;
        Ok(Self { uid: number(0)?, gid: number(1)?, mode: number(2)?, xattrs })
    }

    /// Writes a `(uuua(ayay))`.
    pub fn serialize(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(12 + self.xattrs.data().len());
        for number in [self.uid, self.gid, self.mode] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(self.xattrs.data());
        out
    }

    /// Whether this is a symbolic link.
    pub fn is_symlink(&self) -> bool {
        self.mode & S_IFMT == S_IFLNK
    }

    /// Whether this is a regular file.
    pub fn is_regular(&self) -> bool {
        self.mode & S_IFMT == S_IFREG
    }

    /// Checks that this can be a file of a repository: regular or a symbolic link.
    fn check_file(&self) -> Result<(), ObjectError> {
        let known = self.mode & !(S_IFMT | 0o7777) == 0;
        if known && (self.is_regular() || self.is_symlink()) {
            return Ok(());
        }
        Err(ObjectError::Mode { mode: self.mode, of: "file" })
    }
}

/// The metadata of a file object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileHeader {
    /// Owner, mode, xattrs.
    pub meta: FileMeta,
    /// Target of a symbolic link; empty for a regular file.
    pub target: String,
}

impl FileHeader {
    /// A header.
    ///
    /// Errors: the mode is neither that of a regular file nor of a symbolic link.
    pub fn new(meta: FileMeta, target: String) -> Result<Self, ObjectError> {
        meta.check_file()?;
        if meta.is_symlink() == target.is_empty() {
            return Err(ObjectError::Header("a symbolic link without a target, or a file with one"));
        }
        Ok(Self { meta, target })
    }

    /// Reads a `(uuuusa(ayay))`.
    pub fn parse(data: &[u8]) -> Result<Self, ObjectError> {
        Self::from_variant(Variant::new("(uuuusa(ayay))", data)?, 0)
    }

    fn from_variant(header: Variant<'_>, first: usize) -> Result<Self, ObjectError> {
        header.check_normal()?;
        let number = |index| -> Result<u32, ObjectError> { Ok(header.child(index)?.as_u32()?.swap_bytes()) };
        if number(first + 3)? != 0 {
            return Err(ObjectError::Header("a device number"));
        }
        let target = header.child(first + 4)?.as_str()?.to_owned();
        let xattrs = Xattrs::from_variant(header.child(first + 5)?)?;
        let meta =
            FileMeta { uid: number(first)?, gid: number(first + 1)?, mode: number(first + 2)?, xattrs };
        Self::new(meta, target)
    }

    /// Replaces `out` by the framed header: what is hashed before the content.
    pub fn write_framed(&self, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&[0; FRAME]);
        self.write(out, FRAME);
        set_size(out);
    }

    /// Appends the fields; the tuple starts at `start` of `out`.
    fn write(&self, out: &mut Vec<u8>, start: usize) {
        for number in [self.meta.uid, self.meta.gid, self.meta.mode, 0] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(self.target.as_bytes());
        out.push(0);
        let end = out.len() - start;
        out.extend_from_slice(self.meta.xattrs.data());
        xattrs::push_end(out, start, end);
    }
}

/// The header of a `.filez`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveHeader {
    /// Bytes of the content, before compression.
    pub size: u64,
    /// Everything else.
    pub file: FileHeader,
}

impl ArchiveHeader {
    /// The size of the header that follows, from the first 8 bytes of an object.
    pub fn frame(start: [u8; FRAME]) -> Result<usize, ObjectError> {
        let [a, b, c, d, 0, 0, 0, 0] = start else {
            return Err(ObjectError::Header("padding that is not zero"));
        };
        match usize::try_from(u32::from_be_bytes([a, b, c, d])) {
            Ok(size @ 1..=MAX_HEADER_SIZE) => Ok(size),
            _ => Err(ObjectError::Header("a size out of bounds")),
        }
    }

    /// Reads a `(tuuuusa(ayay))`.
    pub fn parse(data: &[u8]) -> Result<Self, ObjectError> {
        let header = Variant::new("(tuuuusa(ayay))", data)?;
        let size = header.child(0)?.as_u64()?.swap_bytes();
        Ok(Self { size, file: FileHeader::from_variant(header, 1)? })
    }

    /// Replaces `out` by the framed header, which the compressed content follows.
    pub fn write_framed(&self, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&[0; FRAME]);
        out.extend_from_slice(&self.size.to_be_bytes());
        self.file.write(out, FRAME);
        set_size(out);
    }
}

/// Fills in the frame of the header that ends `out`. Headers come from files and from objects whose headers
/// were read, so they are far below 4 GiB.
fn set_size(out: &mut [u8]) {
    let size = u32::try_from(out.len().saturating_sub(FRAME)).unwrap_or(u32::MAX);
    if let Some(field) = out.get_mut(..4) {
        field.copy_from_slice(&size.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(mode: u32, target: &str, xattrs: Xattrs) -> Result<FileHeader, ObjectError> {
        FileHeader::new(FileMeta { uid: 1, gid: 2, mode, xattrs }, target.to_owned())
    }

    #[test]
    fn headers_round_trip() {
        let long = vec![1; 300];
        for header in [
            header(0o100_644, "", Xattrs::empty()).unwrap(),
            header(0o104_755, "", Xattrs::new(vec![(b"user.x", b"1"), (b"security.selinux", &long)]))
                .unwrap(),
            header(0o120_777, "../é", Xattrs::empty()).unwrap(),
        ] {
            let mut out = vec![9];
            header.write_framed(&mut out);
            let (frame, rest) = out.split_at(8);
            assert_eq!(ArchiveHeader::frame(frame.try_into().unwrap()), Ok(rest.len()));
            assert_eq!(FileHeader::parse(rest).unwrap(), header);
            let archive = ArchiveHeader { size: 77, file: header };
            archive.write_framed(&mut out);
            assert_eq!(ArchiveHeader::parse(&out[8..]).unwrap(), archive);
        }
    }

    #[test]
    fn what_is_no_file_is_refused() {
        for (mode, target) in
            [(0o040_755, ""), (0o020_644, ""), (0o644, ""), (0o120_777, ""), (0o100_644, "x")]
        {
            assert!(header(mode, target, Xattrs::empty()).is_err(), "{mode:o}");
        }
        for frame in [[0, 0, 0, 0, 0, 0, 0, 0], [0xff; 8], [0, 0, 0, 1, 0, 0, 0, 1]] {
            assert!(ArchiveHeader::frame(frame).is_err());
        }
    }
}
