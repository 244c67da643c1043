// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a repository stores files.

use std::fmt;

/// How file objects are stored; metadata objects are the same everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// As files with owner, mode and xattrs; needs root for trees of other owners.
    Bare,
    /// As files of the caller, with the true metadata in an xattr of namespace `user`.
    BareUser,
    /// As files of the caller, without any other metadata. Read only here.
    BareUserOnly,
    /// Compressed, with a header, for serving over HTTP.
    Archive,
}

impl Mode {
    /// The mode of that name in `config` or on a command line.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "bare" => Self::Bare,
            "bare-user" => Self::BareUser,
            "bare-user-only" => Self::BareUserOnly,
            // The z2 is the second layout of compressed objects; the first is gone.
            "archive" | "archive-z2" => Self::Archive,
            _ => return None,
        })
    }

    /// The name as it is written to `config`.
    pub const fn config_name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::BareUser => "bare-user",
            Self::BareUserOnly => "bare-user-only",
            Self::Archive => "archive-z2",
        }
    }

    /// Whether files are stored compressed.
    pub const fn is_archive(self) -> bool {
        matches!(self, Self::Archive)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.config_name())
    }
}
