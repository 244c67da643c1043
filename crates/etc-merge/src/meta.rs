// SPDX-License-Identifier: MIT OR Apache-2.0
//! Owner, mode and extended attributes of a directory entry, read and written without following links.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, OsString};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::fs::{AtFlags, FileType, Gid, Mode, Stat, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

/// The result of `stat`, and the extended attributes.
#[derive(Debug, Clone)]
pub(crate) struct Meta {
    pub(crate) stat: Stat,
    /// All but the label.
    xattrs: BTreeMap<CString, Vec<u8>>,
    /// The SELinux label.
    label: Option<Vec<u8>>,
}

/// The attribute with the SELinux label.
const LABEL: &CStr = c"security.selinux";

/// Whether SELinux labels are looked at, or carried over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Labels {
    /// As every other attribute.
    Count,
    /// They are the business of who labels the new tree.
    Pass,
}

/// Whether a copy has the extended attributes of what it is made from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Attributes {
    /// It has.
    #[default]
    Keep,
    /// It has none but those that the file system gives it.
    Leave,
}

impl Meta {
    /// Reads `name` in `dir`.
    pub(crate) fn read(dir: BorrowedFd<'_>, name: &CStr) -> Result<Self, Errno> {
        Self::with_attributes(rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?, dir, name)
    }

    /// Reads the attributes of what `stat` was read of.
    pub(crate) fn with_attributes(stat: Stat, dir: BorrowedFd<'_>, name: &CStr) -> Result<Self, Errno> {
        let mut xattrs = xattrs(dir, name)?;
        let label = xattrs.remove(LABEL);
        Ok(Self { stat, xattrs, label })
    }

    pub(crate) fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }

    /// Whether owner, mode and attributes are the same; times do not count.
    pub(crate) fn same(&self, other: &Self, labels: Labels) -> bool {
        let identity = |m: &Self| (m.stat.st_mode, m.stat.st_uid, m.stat.st_gid);
        identity(self) == identity(other)
            && self.xattrs == other.xattrs
            && (labels == Labels::Pass || self.label == other.label)
    }

    /// Whether both have a label, and the same one.
    pub(crate) fn same_label(&self, other: &Self) -> bool {
        self.label.is_some() && self.label == other.label
    }

    /// When it was read and written last.
    pub(crate) fn times(&self) -> Timestamps {
        #[allow(
            clippy::useless_conversion,
            clippy::unnecessary_cast,
            reason = "unsigned on some architectures"
        )]
        let time = |tv_sec, nsec| Timespec { tv_sec, tv_nsec: nsec as _ };
        Timestamps {
            last_access: time(self.stat.st_atime, self.stat.st_atime_nsec),
            last_modification: time(self.stat.st_mtime, self.stat.st_mtime_nsec),
        }
    }

    /// Gives `name` in `dir` this owner, mode and these attributes. The owner comes first: changing it clears
    /// set-user-id bits and capabilities.
    pub(crate) fn write(
        &self,
        dir: BorrowedFd<'_>,
        name: &CStr,
        labels: Labels,
        attributes: Attributes,
    ) -> Result<(), Errno> {
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
        if attributes == Attributes::Leave {
            return Ok(());
        }
        let path = proc_path(dir, name);
        let present = xattrs(dir, name)?;
        let is_stale = |key: &CStr| key != LABEL && !self.xattrs.contains_key(key);
        for stale in present.keys().filter(|key| is_stale(key)) {
            rustix::fs::lremovexattr(&path, stale.as_c_str())?;
        }
        for (key, value) in &self.xattrs {
            rustix::fs::lsetxattr(&path, key.as_c_str(), value, XattrFlags::empty())?;
        }
        match &self.label {
            Some(label) if labels == Labels::Count && present.get(LABEL) != Some(label) => {
                set_label(&path, label)
            }
            _ => Ok(()),
        }
    }
}

/// Whether a copy keeps the times of what it is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Times {
    /// It does: it is somebody's file, and some programs and people go by when it was changed.
    Keep,
    /// It has those of the moment, as the defaults have them, whose own are the same for all files of a repository.
    New,
}

/// Sets the times of `name` in `dir`, to the nanosecond. Not every file system has times for links.
pub(crate) fn set_times(dir: BorrowedFd<'_>, name: &CStr, times: &Timestamps) -> Result<(), Errno> {
    match rustix::fs::utimensat(dir, name, times, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        other => other,
    }
}

fn set_label(path: &PathBuf, label: &[u8]) -> Result<(), Errno> {
    match rustix::fs::lsetxattr(path, LABEL, label, XattrFlags::empty()) {
        // A label that the running policy does not know or does not let us set, or a file system without labels: the new
        // system's own labelling decides.
        Err(Errno::INVAL | Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP) => Ok(()),
        other => other,
    }
}

/// There is no `getxattrat` before Linux 6.13; through the descriptor's link in `/proc` only the last component
/// is looked up anew.
fn proc_path(dir: BorrowedFd<'_>, name: &CStr) -> PathBuf {
    let mut path = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd()));
    path.push(OsString::from(std::ffi::OsStr::from_bytes(name.to_bytes())));
    path
}

/// A list and a value are at most this long (`XATTR_LIST_MAX`, `XATTR_SIZE_MAX`).
const LONGEST: usize = 65536;

fn xattrs(dir: BorrowedFd<'_>, name: &CStr) -> Result<BTreeMap<CString, Vec<u8>>, Errno> {
    let path = proc_path(dir, name);
    let list = match read_attribute(|buffer| rustix::fs::llistxattr(&path, buffer)) {
        // A file system without attributes has none.
        Err(Errno::OPNOTSUPP) => Vec::new(),
        other => other?,
    };
    let mut found = BTreeMap::new();
    for key in list.split_inclusive(|&b| b == 0).filter_map(|key| CStr::from_bytes_with_nul(key).ok()) {
        let value = read_attribute(|buffer| rustix::fs::lgetxattr(&path, key, buffer))?;
        found.insert(key.to_owned(), value);
    }
    Ok(found)
}

/// Most lists are empty and most values short: they take no buffer of full size.
fn read_attribute(read: impl Fn(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut short = [0; 256];
    match read(&mut short) {
        Err(Errno::RANGE) => {}
        length => return Ok(short.get(..length?).unwrap_or_default().to_vec()),
    }
    let mut long = vec![0; LONGEST];
    let length = read(&mut long)?;
    long.truncate(length);
    Ok(long)
}
