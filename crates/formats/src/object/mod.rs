// SPDX-License-Identifier: MIT OR Apache-2.0
//! The objects of a repository.
//!
//! ```text
//! ref ──▶ commit ──▶ dirmeta           owner, mode and xattrs of the root directory
//!             └────▶ dirtree ──▶ file  by name, sorted
//!                       └──────▶ (dirtree, dirmeta) by name, sorted
//! ```
//!
//! An object is named by the SHA-256 of its bytes; a file by that of a [framed header](FileHeader) and its
//! content, so that the name is the same however a repository stores it. Numbers inside objects are
//! big-endian, unlike all else in GVariant.
//!
//! | object | type string |
//! |---|---|
//! | dirmeta | `(uuua(ayay))`: uid, gid, mode, xattrs |
//! | dirtree | `(a(say)a(sayay))`: files with checksums, directories with checksums of tree and metadata |
//! | commit | `(a{sv}aya(say)sstayay)`: metadata, parent, related, subject, body, time, root tree, root metadata |
//! | commitmeta | `a{sv}`: metadata that is not part of the commit's name |
//! | file header | `(uuuusa(ayay))`: uid, gid, mode, zero, symbolic link target, xattrs |
//! | archive header | `(tuuuusa(ayay))`: the same after the size of the content |
//!
//! Reading checks all that makes an object usable: the structure, names that are one path component, sorted
//! entries, modes of the right kind. That the bytes have the checksum that names them is checked by who reads
//! them from a disk.

mod commit;
mod dirmeta;
mod dirtree;
mod error;
mod file;
mod file_type;
mod xattrs;

use std::fmt;

pub use commit::{Commit, metadata_key};
pub use dirmeta::DirMeta;
pub use dirtree::{DirEntry, DirTree, FileEntry, check_name};
pub use error::ObjectError;
pub use file::{ArchiveHeader, FileHeader, FileMeta, MAX_HEADER_SIZE, OSTREEMETA_XATTR};
pub use xattrs::Xattrs;

use crate::Checksum;

/// Metadata objects above this size are refused: 128 MiB, the bound that OSTree sets.
pub const MAX_METADATA_SIZE: u64 = 128 * 1024 * 1024;

/// The kinds of objects that a repository holds by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectType {
    /// A regular file or symbolic link.
    File,
    /// The names in a directory.
    DirTree,
    /// Owner, mode and xattrs of a directory.
    DirMeta,
    /// A commit.
    Commit,
    /// The mark of a commit that was deleted on purpose.
    TombstoneCommit,
    /// Metadata beside a commit, such as signatures.
    CommitMeta,
    /// Link from the checksum of a content to the file object that holds it, for reflinks.
    PayloadLink,
}

impl ObjectType {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::File,
        Self::DirTree,
        Self::DirMeta,
        Self::Commit,
        Self::TombstoneCommit,
        Self::CommitMeta,
        Self::PayloadLink,
    ];

    /// The name that programs print and that ends a loose object's path; a file of an archive repository ends
    /// in `filez` instead.
    pub const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::DirTree => "dirtree",
            Self::DirMeta => "dirmeta",
            Self::Commit => "commit",
            Self::TombstoneCommit => "tombstone-commit",
            Self::CommitMeta => "commitmeta",
            Self::PayloadLink => "payload-link",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether the object's name is the SHA-256 of its bytes as they are stored.
    pub const fn is_hashed_metadata(self) -> bool {
        matches!(self, Self::DirTree | Self::DirMeta | Self::Commit)
    }

    /// The type string of a metadata object; none for content.
    pub const fn type_string(self) -> Option<&'static str> {
        match self {
            Self::DirTree => Some(dirtree::TYPE),
            Self::DirMeta => Some(dirmeta::TYPE),
            Self::Commit => Some(commit::TYPE),
            Self::CommitMeta | Self::TombstoneCommit => Some("a{sv}"),
            Self::File | Self::PayloadLink => None,
        }
    }
}

impl fmt::Display for ObjectType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A checksum with its kind: the name of one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    /// Digest.
    pub checksum: Checksum,
    /// Kind.
    pub kind: ObjectType,
}

impl ObjectName {
    /// The object of this checksum and kind.
    pub const fn new(checksum: Checksum, kind: ObjectType) -> Self {
        Self { checksum, kind }
    }

    /// Checks that the bytes of a metadata object are one of its kind; those of other objects are not looked at.
    ///
    /// # Errors
    /// The structure, a name, the order of names or a mode is none that such an object has.
    pub fn check_structure(&self, data: &[u8]) -> Result<(), ObjectError> {
        match self.kind {
            ObjectType::DirTree => DirTree::parse(data).map(drop),
            ObjectType::DirMeta => DirMeta::parse(data).map(drop),
            ObjectType::Commit => Commit::parse(data).map(drop),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.checksum, self.kind)
    }
}

/// The path of a loose object below `objects/`, on the stack: `ab/cdef….SUFFIX`.
#[derive(Clone, Copy)]
pub struct LoosePath {
    bytes: [u8; Self::CAPACITY],
    len: usize,
}

impl LoosePath {
    /// Two digits, a slash, 62 digits, a dot and the longest suffix.
    const CAPACITY: usize = Checksum::HEX_LEN + 2 + 16;

    /// The path of `name` in a repository whose files end in `.filez` if `archive`, in `.file` otherwise.
    pub fn new(name: ObjectName, archive: bool) -> Self {
        let suffix = if archive && name.kind == ObjectType::File { "filez" } else { name.kind.name() };
        let hex = name.checksum.hex();
        let (fanout, rest) = hex.split_at(2);
        let mut out = Self { bytes: [0; Self::CAPACITY], len: 0 };
        for part in [fanout, b"/", rest, b".", suffix.as_bytes()] {
            let end = out.len + part.len();
            if let Some(target) = out.bytes.get_mut(out.len..end) {
                target.copy_from_slice(part);
                out.len = end;
            }
        }
        out
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        self.bytes.get(..self.len).and_then(|bytes| str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    /// The directory that holds the object: the first two digits.
    pub fn fanout(&self) -> &str {
        self.as_str().get(..2).unwrap_or_default()
    }
}

/// The object that lies at `FANOUT/FILE`, the inverse of [`LoosePath`]; `None` for any other file.
pub fn parse_loose(fanout: &str, file: &str) -> Option<ObjectName> {
    let (rest, suffix) = file.split_once('.')?;
    let kind = if suffix == "filez" { ObjectType::File } else { ObjectType::from_name(suffix)? };
    // Without an allocation: whoever lists a repository comes by here with every object.
    let mut hex = [0; Checksum::HEX_LEN];
    let (head, tail) = hex.split_at_mut_checked(fanout.len())?;
    head.copy_from_slice(fanout.as_bytes());
    (tail.len() == rest.len()).then(|| tail.copy_from_slice(rest.as_bytes()))?;
    Some(ObjectName::new(str::from_utf8(&hex).ok()?.parse().ok()?, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loose_paths_round_trip() {
        let checksum = Checksum::of(b"");
        for kind in ObjectType::ALL {
            for archive in [false, true] {
                let name = ObjectName::new(checksum, kind);
                let path = LoosePath::new(name, archive);
                let (fanout, file) = path.as_str().split_once('/').unwrap();
                assert_eq!(fanout, path.fanout());
                assert_eq!(parse_loose(fanout, file), Some(name));
            }
        }
        assert_eq!(parse_loose("ab", "cd.file"), None);
        assert_eq!(parse_loose("e3", "tmp"), None);
    }
}
