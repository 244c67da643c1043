// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading small text files below a directory that is taken as the root.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;

use crate::calls::Calls;

/// The largest file that is read, in bytes. A real configuration or command line has a few hundred.
pub const MAX_SIZE: u64 = 64 * 1024;

/// Why a file could not be read as text.
#[derive(Debug, PartialEq, Eq)]
pub enum ReadError {
    /// The kernel refused.
    Errno(Errno),
    /// Longer than [`MAX_SIZE`].
    TooLarge,
    /// Not UTF-8.
    NotText,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Errno(errno) => errno.fmt(f),
            Self::TooLarge => write!(f, "larger than {MAX_SIZE} bytes"),
            Self::NotText => f.write_str("not UTF-8 text"),
        }
    }
}

impl std::error::Error for ReadError {}

/// Reads the file at `path` below `root`; `None` when there is none. Links stay below `root`.
///
/// # Errors
///
/// The kernel's error, or that the content is no text of a sensible size.
pub fn read_text(root: BorrowedFd<'_>, path: &str, calls: &Calls) -> Result<Option<String>, ReadError> {
    match open_in_root(root, path, calls) {
        Ok(fd) => read_all(fd).map(Some),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(ReadError::Errno(errno)),
    }
}

/// Opens the file at `path` below `root` for reading. Links stay below `root`.
///
/// # Errors
///
/// The kernel's error; `ENOENT` where there is no such file.
pub fn open_in_root(root: BorrowedFd<'_>, path: &str, calls: &Calls) -> Result<OwnedFd, Errno> {
    match calls.openat2 {
        true => kernel::open_in_root::open_in_root(root, path),
        false => kernel::open_in_root::open_by_process_root(root, path),
    }
}

fn read_all(fd: OwnedFd) -> Result<String, ReadError> {
    let mut bytes = Vec::with_capacity(4096);
    let read = File::from(fd).take(MAX_SIZE + 1).read_to_end(&mut bytes);
    read.map_err(|e| ReadError::Errno(Errno::from_io_error(&e).unwrap_or(Errno::IO)))?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(ReadError::TooLarge);
    }
    String::from_utf8(bytes).map_err(|_| ReadError::NotText)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn files_are_read_below_the_root_only() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("root");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(temp.path().join("outside"), "secret").unwrap();
        std::fs::write(root.join("plain"), "text").unwrap();
        std::fs::write(root.join("binary"), b"\xff").unwrap();
        std::fs::write(root.join("large"), vec![b'x'; 64 * 1024 + 1]).unwrap();
        std::os::unix::fs::symlink("/plain", root.join("absolute")).unwrap();
        std::os::unix::fs::symlink("../outside", root.join("escape")).unwrap();
        let dir = File::open(&root).unwrap();
        let read = |name| read_text(dir.as_fd(), name, &Calls::ALL);

        assert_eq!(read("plain"), Ok(Some("text".to_owned())));
        assert_eq!(read("absolute"), Ok(Some("text".to_owned())));
        assert_eq!(read("missing"), Ok(None));
        assert_eq!(read("escape"), Ok(None), "`..` stops at the root, and there is no such file");
        assert_eq!(read("binary"), Err(ReadError::NotText));
        assert_eq!(read("large"), Err(ReadError::TooLarge));
        assert_eq!(read_text(dir.as_fd(), "plain", &Calls::OLDEST), Ok(Some("text".to_owned())));
    }
}
