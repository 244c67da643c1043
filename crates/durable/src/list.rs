// SPDX-License-Identifier: MIT OR Apache-2.0
//! Listing a directory through its own descriptor.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, FileType, RawDir};
use rustix::io::Errno;

/// Room for some hundred entries a call.
const BUFFER: usize = 32 * 1024;

/// Calls `found` with the name and kind of every entry but `.` and `..`, from where the descriptor stands to the end. Where the
/// file system does not tell the kind, it is asked for; what is gone by then is none of the entries.
pub(crate) fn list(dir: BorrowedFd<'_>, mut found: impl FnMut(&CStr, FileType)) -> Result<(), Errno> {
    let mut buffer = [MaybeUninit::<u8>::uninit(); BUFFER];
    let mut listing = RawDir::new(dir, &mut buffer);
    while let Some(entry) = listing.next() {
        let entry = match entry {
            // The directory itself was removed after it was opened.
            Err(Errno::NOENT) => return Ok(()),
            other => other?,
        };
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        match entry.file_type() {
            FileType::Unknown => match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => found(name, FileType::from_raw_mode(stat.st_mode)),
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno),
            },
            kind => found(name, kind),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_directory_that_was_removed_has_nothing_in_it() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("dir");
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("file"), "").unwrap();
        let dir = std::fs::File::open(&path).unwrap();
        let mut names = Vec::new();
        list(dir.as_fd(), |name, kind| names.push((name.to_owned(), kind))).unwrap();
        assert_eq!(names, [(c"file".to_owned(), FileType::RegularFile)]);
        let dir = std::fs::File::open(&path).unwrap();
        std::fs::remove_dir_all(&path).unwrap();
        list(dir.as_fd(), |name, _| panic!("{name:?}")).unwrap();
    }
}
