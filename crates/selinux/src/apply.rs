// SPDX-License-Identifier: MIT OR Apache-2.0
//! Setting labels, on single files and on all that is below a directory.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use durable::{Mounts, Walk, shown};
use formats::file_contexts::Kind;
use rustix::fs::{AtFlags, FileType, XattrFlags};
use rustix::io::Errno;

use crate::Labeler;
use crate::extent::Extent;

/// The attribute with the label.
const LABEL: &CStr = c"security.selinux";

/// A longer path is none that anybody can name (`PATH_MAX`), and no policy says anything about it.
const LONGEST_PATH: usize = 4096;

impl Labeler {
    /// Labels the directory `dir`, which is at `path` in the running system, and all that is below it, however deep.
    ///
    /// Gives how many were labelled. Files that vanish meanwhile need none; links are labelled, and not followed.
    ///
    /// Below the longest path that there can be, all have the label of the last directory that has one: the kernel gives it to
    /// files that are made there.
    ///
    /// # Errors
    ///
    /// A directory cannot be read, the policy cannot tell a label, or the kernel refuses it.
    pub fn label_tree(&self, dir: BorrowedFd<'_>, path: &str, extent: Extent) -> Result<u64> {
        let mut labels = Labels { labeler: self, extent, inherited: None, count: 0 };
        let top = path.trim_end_matches('/').as_bytes();
        labels.entry(dir, c".", if path == "/" { b"/" } else { path.as_bytes() })?;
        let mut walk = Walk::new(dir, Mounts::Enter).with_context(|| format!("Reading {path}"))?;
        while let Some(seen) = walk.next().with_context(|| format!("Below {path}"))? {
            let inside = seen.descent.path().as_os_str().as_bytes();
            let slash: &[u8] = if inside.is_empty() { b"" } else { b"/" };
            let path = [top, slash, inside, b"/", seen.name.to_bytes()].concat();
            labels.entry(seen.dir(), &seen.name, &path)?;
        }
        Ok(labels.count)
    }

    /// Labels `name` in `dir` as if it were at `path`.
    ///
    /// # Errors
    ///
    /// As [`Labeler::label_tree`].
    pub fn label_at(&self, dir: BorrowedFd<'_>, name: &str, path: &str) -> Result<()> {
        let mut labels = Labels { labeler: self, extent: Extent::All, inherited: None, count: 0 };
        labels.entry(dir, &CString::new(name)?, path.as_bytes())
    }
}

struct Labels<'a> {
    labeler: &'a Labeler,
    extent: Extent,
    /// The last directory with a path whose label was passed on, and that label.
    inherited: Option<(Vec<u8>, Option<String>)>,
    count: u64,
}

impl Labels<'_> {
    /// Labels one entry.
    fn entry(&mut self, dir: BorrowedFd<'_>, name: &CStr, path: &[u8]) -> Result<()> {
        let labelling = || format!("Labelling {}", shown(Path::new(OsStr::from_bytes(path))).display());
        let stat = match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(()),
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
            return Ok(());
        }
        let Some(label) = self.label_of(path, stat.st_mode)? else { return Ok(()) };
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
        Ok(())
    }

    fn label_of(&mut self, path: &[u8], mode: u32) -> Result<Option<String>> {
        if path.len() < LONGEST_PATH {
            let Some(kind) = Kind::of_mode(mode) else { return Ok(None) };
            return Ok(self.labeler.label_of(path, kind)?.map(str::to_owned));
        }
        let named = path.get(..LONGEST_PATH).unwrap_or_default();
        let end = named.iter().rposition(|byte| *byte == b'/').unwrap_or_default();
        let directory = named.get(..end).unwrap_or_default();
        match &self.inherited {
            Some((above, label)) if above == directory => Ok(label.clone()),
            _ => {
                let label = self.labeler.label_of(directory, Kind::Directory)?.map(str::to_owned);
                self.inherited = Some((directory.to_owned(), label.clone()));
                Ok(label)
            }
        }
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
