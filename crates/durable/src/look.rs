// SPDX-License-Identifier: MIT OR Apache-2.0
//! Looking at the entries of a directory by its descriptor, never through a link.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode};
use rustix::io::Errno;
use rustix::path::Arg;

use crate::open::DIRECTORY;

/// Opens the directory at `path` below `dir`; its last component may not be a link.
///
/// # Errors
/// The kernel's: `ENOENT`, `ENOTDIR` for a link or another kind of file, and so on.
pub fn open_dir(dir: impl AsFd, path: impl Arg) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(dir, path, DIRECTORY, Mode::empty())
}

/// As [`open_dir`]; `None` where there is nothing of this name, or something that is no directory.
///
/// # Errors
/// The kernel's others, such as `EACCES`.
pub fn find_dir(dir: impl AsFd, path: impl Arg) -> Result<Option<OwnedFd>, Errno> {
    match open_dir(dir, path) {
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        opened => opened.map(Some),
    }
}

/// Returns the kind of the entry at `path` below `dir`; `None` where there is nothing of this name.
///
/// # Errors
/// The kernel's, but for `ENOENT` and `ENOTDIR`.
pub fn kind_of(dir: impl AsFd, path: impl Arg) -> Result<Option<FileType>, Errno> {
    match rustix::fs::statat(dir, path, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        stat => stat.map(|stat| Some(FileType::from_raw_mode(stat.st_mode))),
    }
}

/// Returns the names in a directory, sorted, so that the order of what follows does not depend on the file system.
///
/// # Errors
/// The kernel's, of opening or reading the directory.
pub fn names(dir: impl AsFd) -> Result<Vec<CString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let name = entry?.file_name().to_owned();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Returns those of the [`names`] that are UTF-8.
///
/// # Errors
/// As [`names`].
pub fn text_names(dir: impl AsFd) -> Result<Vec<String>, Errno> {
    Ok(names(dir)?.into_iter().filter_map(|name| name.into_string().ok()).collect())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs::File;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn entries_are_seen_without_following_links() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir(temp.path().join("dir")).unwrap();
        std::os::unix::fs::symlink("dir", temp.path().join("link")).unwrap();
        std::fs::write(temp.path().join("a"), "").unwrap();
        std::fs::write(temp.path().join(OsStr::from_bytes(b"\xff")), "").unwrap();
        let top = File::open(temp.path()).unwrap();
        assert_eq!(names(&top).unwrap(), [c"a", c"dir", c"link", c"\xff"].map(ToOwned::to_owned));
        assert_eq!(text_names(&top).unwrap(), ["a", "dir", "link"]);
        for (name, kind) in [
            ("a", Some(FileType::RegularFile)),
            ("dir", Some(FileType::Directory)),
            ("link", Some(FileType::Symlink)),
            ("none", None),
            ("a/none", None),
        ] {
            assert_eq!(kind_of(&top, name).unwrap(), kind, "{name}");
            assert_eq!(find_dir(&top, name).unwrap().is_some(), name == "dir", "{name}");
        }
        assert_eq!(open_dir(&top, "none").unwrap_err(), Errno::NOENT);
    }
}
