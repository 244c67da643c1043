// SPDX-License-Identifier: MIT OR Apache-2.0
//! Owner, mode and extended attributes of a directory.

use super::error::ObjectError;
use super::file::FileMeta;
use super::file_type::{S_IFDIR, S_IFMT};

/// The type string.
pub(super) const TYPE: &str = "(uuua(ayay))";

/// A directory's metadata.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DirMeta(FileMeta);

impl DirMeta {
    /// Metadata of a directory; the mode may lack its type bits.
    ///
    /// Errors: the mode is that of something else, or holds bits that no mode has.
    pub fn new(mut meta: FileMeta) -> Result<Self, ObjectError> {
        meta.mode |= if meta.mode & S_IFMT == 0 { S_IFDIR } else { 0 };
        if meta.mode & !0o7777 != S_IFDIR {
            return Err(ObjectError::Mode { mode: meta.mode, of: "directory" });
        }
        Ok(Self(meta))
    }

    /// Reads the object.
    pub fn parse(data: &[u8]) -> Result<Self, ObjectError> {
        Self::new(FileMeta::parse(data)?)
    }

    /// The object's bytes.
    pub fn serialize(&self) -> Vec<u8> {
        self.0.serialize()
    }

    /// Owner, mode (with type bits) and xattrs.
    pub fn meta(&self) -> &FileMeta {
        &self.0
    }
}
