// SPDX-License-Identifier: MIT OR Apache-2.0
//! A table of mounts, read by libmount.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, OsStr, OsString, c_char, c_int};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;

use rsmount_sys as sys;

/// The mounts of the running system, as the process sees them.
const MOUNTINFO: &str = "/proc/self/mountinfo";

/// A line of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Where it is mounted. `none` or `swap` where a line of `fstab` has no such place.
    pub target: PathBuf,
    /// The source of the mount: a device, `UUID=…`, a directory, or any word.
    pub source: OsString,
    /// The directory of the file system that is mounted; known from the mount table only.
    pub root: Option<PathBuf>,
    /// The type of the file system.
    pub fs_type: OsString,
    /// The options, separated by commas.
    pub options: OsString,
}

/// A table of mounts.
#[derive(Debug)]
pub struct Table(NonNull<sys::libmnt_table>);

impl Table {
    /// Reads a file in the form of `fstab(5)`. As for `mount`, lines that cannot be read are passed over.
    ///
    /// # Errors
    ///
    /// The file cannot be read; `NotFound` when there is none.
    pub fn parse_fstab(path: &Path) -> io::Result<Self> {
        // SAFETY: `parse` passes a table and a string that are both valid for the call.
        Self::parse(path, |table, path| unsafe { sys::mnt_table_parse_fstab(table, path) })
    }

    /// Reads a file in the form of `/proc/self/mountinfo`.
    ///
    /// # Errors
    ///
    /// The file cannot be read; `NotFound` when there is none.
    pub fn parse_mountinfo(path: &Path) -> io::Result<Self> {
        // SAFETY: as above.
        Self::parse(path, |table, path| unsafe { sys::mnt_table_parse_file(table, path) })
    }

    /// Reads what is mounted now.
    ///
    /// # Errors
    ///
    /// `/proc` is not mounted.
    pub fn of_this_process() -> io::Result<Self> {
        Self::parse_mountinfo(Path::new(MOUNTINFO))
    }

    fn parse(
        path: &Path,
        parse: impl FnOnce(*mut sys::libmnt_table, *const c_char) -> c_int,
    ) -> io::Result<Self> {
        let path = CString::new(path.as_os_str().as_bytes())?;
        // SAFETY: takes nothing, and returns a table that is ours to release, or null without memory.
        let table = NonNull::new(unsafe { sys::mnt_new_table() }).ok_or(io::ErrorKind::OutOfMemory)?;
        let table = Self(table);
        match parse(table.0.as_ptr(), path.as_ptr()) {
            0 => Ok(table),
            negative_errno => Err(io::Error::from_raw_os_error(negative_errno.saturating_neg())),
        }
    }

    /// Finds the topmost mount at `target`; slashes more or less do not matter.
    pub fn find_target(&self, target: &Path) -> Option<Entry> {
        let target = CString::new(target.as_os_str().as_bytes()).ok()?;
        let direction = sys::MNT_ITER_BACKWARD as c_int;
        // SAFETY: table and string are valid; the result is null or an entry that the table owns.
        let found = unsafe { sys::mnt_table_find_target(self.0.as_ptr(), target.as_ptr(), direction) };
        NonNull::new(found).map(|fs| self.entry(fs))
    }

    /// All lines, in the order of the file.
    ///
    /// # Errors
    ///
    /// There is no memory.
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        // SAFETY: takes a number, and returns an iterator that is ours to release, or null without memory.
        let iter = NonNull::new(unsafe { sys::mnt_new_iter(sys::MNT_ITER_FORWARD as c_int) });
        let iter = iter.ok_or(io::ErrorKind::OutOfMemory)?;
        let mut entries = Vec::new();
        loop {
            let mut fs = std::ptr::null_mut();
            // SAFETY: table and iterator are valid, and `fs` is a place for one pointer, written on 0 only.
            let result = unsafe { sys::mnt_table_next_fs(self.0.as_ptr(), iter.as_ptr(), &raw mut fs) };
            match NonNull::new(fs) {
                Some(fs) if result == 0 => entries.push(self.entry(fs)),
                _ => break,
            }
        }
        // SAFETY: the iterator came from `mnt_new_iter` and is not used again.
        unsafe { sys::mnt_free_iter(iter.as_ptr()) };
        Ok(entries)
    }

    /// Copies an entry out of this table; `fs` must be one of its entries.
    fn entry(&self, fs: NonNull<sys::libmnt_fs>) -> Entry {
        let fs = fs.as_ptr();
        // SAFETY: `fs` is an entry that the table keeps alive; each call returns null or a string that lives as
        // long as the entry is not changed, and `text` copies it at once.
        unsafe {
            Entry {
                target: text(sys::mnt_fs_get_target(fs)).unwrap_or_default().into(),
                source: text(sys::mnt_fs_get_source(fs)).unwrap_or_default(),
                root: text(sys::mnt_fs_get_root(fs)).map(PathBuf::from),
                fs_type: text(sys::mnt_fs_get_fstype(fs)).unwrap_or_default(),
                options: text(sys::mnt_fs_get_options(fs)).unwrap_or_default(),
            }
        }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        // SAFETY: the table came from `mnt_new_table`, and nothing that it owns is borrowed.
        unsafe { sys::mnt_unref_table(self.0.as_ptr()) };
    }
}

/// Copies a string of C's.
///
/// # Safety
///
/// `pointer` must be null or point to a string that ends in NUL.
unsafe fn text(pointer: *const c_char) -> Option<OsString> {
    let pointer = NonNull::new(pointer.cast_mut())?;
    // SAFETY: not null, and by the contract of this function a string.
    let text = unsafe { CStr::from_ptr(pointer.as_ptr()) };
    Some(OsStr::from_bytes(text.to_bytes()).to_owned())
}
