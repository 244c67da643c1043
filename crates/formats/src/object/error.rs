// SPDX-License-Identifier: MIT OR Apache-2.0
//! The reasons why bytes are not an object.

use crate::{Checksum, gvariant};

/// The reason why bytes are not an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// The bytes do not have the structure of the object's type.
    #[error(transparent)]
    Structure(#[from] gvariant::Error),
    /// A file name that is empty, `.`, `..` or holds a slash.
    #[error("invalid file name {0:?} in a directory tree")]
    Name(String),
    /// Entries of a directory tree out of order, or one name twice.
    #[error("entry {0:?} of a directory tree is out of order or there twice")]
    Order(String),
    /// A checksum that is not 32 bytes long.
    #[error("a checksum of {0} bytes")]
    Checksum(usize),
    /// A mode that does not fit the kind of object.
    #[error("invalid mode {mode:o} of a {of}")]
    Mode {
        /// The mode with its type bits.
        mode: u32,
        /// The kind of object.
        of: &'static str,
    },
    /// A file's header is cut short or larger than any that is written.
    #[error("broken file header: {0}")]
    Header(&'static str),
}

/// Reads the bytes of a checksum inside an object.
pub(super) fn read_checksum(bytes: &[u8]) -> Result<Checksum, ObjectError> {
    Checksum::try_from(bytes).map_err(|_| ObjectError::Checksum(bytes.len()))
}
