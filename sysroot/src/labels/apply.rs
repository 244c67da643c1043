// SPDX-License-Identifier: MIT OR Apache-2.0
//! Setting labels, on single files and on all that is below a directory.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use formats::file_contexts::Kind;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, XattrFlags};
use rustix::io::Errno;

use super::Labeler;

/// The attribute with the label.
const LABEL: &CStr = c"security.selinux";

/// What is labelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Everything, whatever label it has.
    All,
    /// What has no label yet: somebody may have given the others theirs on purpose.
    Unlabelled,
    /// The same without files that have more than one name: those of a deployment are the repository's, whose labels belong to
    /// a commit.
    UnlabelledOwn,
}

impl Labeler {
    /// Labels the directory `dir`, which is at `path` in the running system, and all that is below it. Gives how much was
    /// labelled. What vanishes meanwhile needs none; links are labelled, and not followed.
    pub(crate) fn label_tree(&self, dir: BorrowedFd<'_>, path: &str, extent: Extent) -> Result<u64> {
        let mut walk = Walk { labeler: self, extent, path: path.trim_end_matches('/').into(), count: 0 };
        walk.entry(dir, c".", if path == "/" { b"/" } else { path.as_bytes() }.to_vec())?;
        walk.directory(dir)?;
        Ok(walk.count)
    }

    /// Labels `name` in `dir` as if it were at `path`.
    pub(crate) fn label_at(&self, dir: BorrowedFd<'_>, name: &str, path: &str) -> Result<()> {
        let mut walk = Walk { labeler: self, extent: Extent::All, path: Vec::new(), count: 0 };
        walk.entry(dir, &CString::new(name)?, path.as_bytes().to_vec())?;
        Ok(())
    }
}

struct Walk<'a> {
    labeler: &'a Labeler,
    extent: Extent,
    /// Of the directory, without a slash at the end.
    path: Vec<u8>,
    count: u64,
}

impl Walk<'_> {
    fn directory(&mut self, dir: BorrowedFd<'_>) -> Result<()> {
        let reading = |path: &[u8]| format!("Reading {}", String::from_utf8_lossy(path));
        for entry in Dir::read_from(dir).with_context(|| reading(&self.path))? {
            let entry = entry.with_context(|| reading(&self.path))?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let path = [&self.path, b"/".as_slice(), name.to_bytes()].concat();
            if self.entry(dir, name, path.clone())? != Some(FileType::Directory) {
                continue;
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let inside = match rustix::fs::openat(dir, name, flags, Mode::empty()) {
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
                other => other.with_context(|| reading(&path))?,
            };
            let outside = std::mem::replace(&mut self.path, path);
            self.directory(inside.as_fd())?;
            self.path = outside;
        }
        Ok(())
    }

    /// Labels one entry, and says what it is; `None` if it is gone.
    fn entry(&mut self, dir: BorrowedFd<'_>, name: &CStr, path: Vec<u8>) -> Result<Option<FileType>> {
        let labelling = || format!("Labelling {}", String::from_utf8_lossy(&path));
        let stat = match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(None),
            other => other.with_context(labelling)?,
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        let here = proc_path(dir, name);
        let is_shared = kind != FileType::Directory && stat.st_nlink > 1;
        let passed_over = match self.extent {
            Extent::All => false,
            Extent::UnlabelledOwn if is_shared => true,
            Extent::Unlabelled | Extent::UnlabelledOwn => has_label(&here).with_context(labelling)?,
        };
        if passed_over {
            return Ok(Some(kind));
        }
        let label = match Kind::of_mode(stat.st_mode) {
            Some(kind) => self.labeler.label_of(&path, kind)?,
            None => None,
        };
        if let Some(label) = label {
            // The kernel and its tools count the zero byte.
            let value = [label.as_bytes(), b"\0"].concat();
            match rustix::fs::lsetxattr(&here, LABEL, &value, XattrFlags::empty()) {
                Ok(()) => self.count += 1,
                // It is gone, or the file system has no labels (FAT).
                Err(Errno::NOENT | Errno::OPNOTSUPP) => {}
                Err(error) => {
                    return Err(error).with_context(labelling).with_context(|| {
                        format!("The label {label:?} is refused; --selinux=ignore goes on without labels")
                    });
                }
            }
        }
        Ok(Some(kind))
    }
}

fn has_label(path: &PathBuf) -> Result<bool, Errno> {
    match rustix::fs::lgetxattr(path, LABEL, &mut [0_u8; 256]) {
        Ok(length) => Ok(length > 0),
        // It has a longer one.
        Err(Errno::RANGE) => Ok(true),
        Err(Errno::NODATA | Errno::NOENT | Errno::OPNOTSUPP) => Ok(false),
        Err(error) => Err(error),
    }
}

/// There is no `setxattrat` before Linux 6.13; through the descriptor's link in `/proc` only the last component is looked
/// up anew.
fn proc_path(dir: BorrowedFd<'_>, name: &CStr) -> PathBuf {
    let dir = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd()));
    dir.join(OsStr::from_bytes(name.to_bytes()))
}
