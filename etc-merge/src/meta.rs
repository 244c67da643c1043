// SPDX-License-Identifier: MIT OR Apache-2.0
//! Owner, mode and extended attributes of a directory entry, read and written without following links.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, OsString};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::fs::{AtFlags, FileType, Gid, Mode, Stat, Uid, XattrFlags};
use rustix::io::Errno;

/// What `stat` says, and the extended attributes that are the administrator's.
#[derive(Debug, Clone)]
pub(crate) struct Meta {
    pub(crate) stat: Stat,
    pub(crate) xattrs: BTreeMap<CString, Vec<u8>>,
}

/// The label differs between `usr/etc` and `etc` by policy and is set by whoever labels the new tree.
const LABEL: &CStr = c"security.selinux";

impl Meta {
    /// Reads `name` in `dir`.
    pub(crate) fn read(dir: BorrowedFd<'_>, name: &CStr) -> Result<Self, Errno> {
        let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(Self { stat, xattrs: xattrs(dir, name)? })
    }

    pub(crate) fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }

    /// Whether owner, mode and attributes are the same; times do not count.
    pub(crate) fn same(&self, other: &Self) -> bool {
        let identity = |m: &Self| (m.stat.st_mode, m.stat.st_uid, m.stat.st_gid);
        identity(self) == identity(other) && self.xattrs == other.xattrs
    }

    /// Gives `name` in `dir` this owner, mode and these attributes. The owner comes first: changing it clears
    /// set-user-id bits and capabilities.
    pub(crate) fn write(&self, dir: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
        let (uid, gid) = (Uid::from_raw(self.stat.st_uid), Gid::from_raw(self.stat.st_gid));
        rustix::fs::chownat(dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
        if self.kind() != FileType::Symlink {
            rustix::fs::chmodat(
                dir,
                name,
                Mode::from_raw_mode(self.stat.st_mode & 0o7777),
                AtFlags::empty(),
            )?;
        }
        let path = proc_path(dir, name);
        for stale in xattrs(dir, name)?.keys().filter(|key| !self.xattrs.contains_key(*key)) {
            rustix::fs::lremovexattr(&path, stale.as_c_str())?;
        }
        for (key, value) in &self.xattrs {
            rustix::fs::lsetxattr(&path, key.as_c_str(), value, XattrFlags::empty())?;
        }
        Ok(())
    }
}

/// There is no `getxattrat` before Linux 6.13; through the descriptor's link in `/proc` only the last component
/// is looked up anew.
fn proc_path(dir: BorrowedFd<'_>, name: &CStr) -> PathBuf {
    let mut path = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd()));
    path.push(OsString::from(std::ffi::OsStr::from_bytes(name.to_bytes())));
    path
}

fn xattrs(dir: BorrowedFd<'_>, name: &CStr) -> Result<BTreeMap<CString, Vec<u8>>, Errno> {
    let path = proc_path(dir, name);
    // A list and a value are at most 64 KiB each (XATTR_LIST_MAX, XATTR_SIZE_MAX).
    let mut list = vec![0; 65536];
    let length = match rustix::fs::llistxattr(&path, &mut list) {
        // A file system without attributes has none.
        Err(Errno::OPNOTSUPP) => 0,
        other => other?,
    };
    list.truncate(length);
    let mut found = BTreeMap::new();
    for key in list.split_inclusive(|&b| b == 0).filter_map(|key| CStr::from_bytes_with_nul(key).ok()) {
        if key == LABEL {
            continue;
        }
        let mut value = vec![0; 65536];
        let length = rustix::fs::lgetxattr(&path, key, &mut value)?;
        value.truncate(length);
        found.insert(key.to_owned(), value);
    }
    Ok(found)
}
