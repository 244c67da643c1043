// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an administrator changed: the difference between the defaults of a deployment and its `/etc`.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString, OsStr};
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::FileType;
use rustix::io::Errno;

use crate::copy::{has_changed, names, open_dir, open_dir_raw, open_file};
use crate::meta::Meta;

/// All changes, in the order in which they must be applied: a directory before what is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Sorted by path.
    pub list: Vec<Change>,
}

/// One changed path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Relative to `/etc`.
    pub path: PathBuf,
    /// What was done to it.
    pub what: What,
}

/// What was done to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It is not among the defaults; what is in a directory is listed as well.
    Added,
    /// Content, kind, owner, mode or attributes differ.
    Modified,
    /// A default that is gone; a directory stands for all that was in it.
    Removed,
}

impl What {
    /// The letter by which listings name it: `A`, `M` or `D`.
    pub fn letter(self) -> char {
        match self {
            Self::Added => 'A',
            Self::Modified => 'M',
            Self::Removed => 'D',
        }
    }
}

impl Changes {
    /// Compares the defaults (`usr/etc`) with the directory that was made from them (`etc`).
    pub fn between(defaults: BorrowedFd<'_>, current: BorrowedFd<'_>) -> Result<Self> {
        let mut list = Vec::new();
        compare(defaults, current, Path::new(""), &mut list)?;
        list.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self { list })
    }

    /// How many there are of a kind.
    pub fn count(&self, what: What) -> usize {
        self.list.iter().filter(|change| change.what == what).count()
    }
}

fn compare(
    defaults: BorrowedFd<'_>,
    current: BorrowedFd<'_>,
    at: &Path,
    list: &mut Vec<Change>,
) -> Result<()> {
    let in_defaults: BTreeSet<CString> = names(defaults)?.into_iter().collect();
    let in_current: BTreeSet<CString> = names(current)?.into_iter().collect();
    for name in in_defaults.union(&in_current) {
        let path = at.join(OsStr::from_bytes(name.to_bytes()));
        let what = match (in_defaults.contains(name), in_current.contains(name)) {
            (true, false) => Some(What::Removed),
            (false, true) => Some(What::Added),
            _ => compare_entry(defaults, current, name, &path, list)?,
        };
        if what == Some(What::Added) {
            add_inside(current, name, &path, list)?;
        }
        if let Some(what) = what {
            list.push(Change { path, what });
        }
    }
    Ok(())
}

/// Lists what is in an added entry, if it is a directory.
fn add_inside(parent: BorrowedFd<'_>, name: &CStr, path: &Path, list: &mut Vec<Change>) -> Result<()> {
    let dir = match open_dir_raw(parent, name) {
        Err(Errno::NOTDIR | Errno::LOOP | Errno::NOENT) => return Ok(()),
        other => other.with_context(|| format!("Opening /etc/{}", path.display()))?,
    };
    for child in names(dir.as_fd())? {
        let path = path.join(OsStr::from_bytes(child.to_bytes()));
        add_inside(dir.as_fd(), &child, &path, list)?;
        list.push(Change { path, what: What::Added });
    }
    Ok(())
}

/// How an entry that both have differs; what differs inside a directory goes to `list`. Programs may be writing to
/// `current`: what changes its kind while it is read counts as modified, and is looked at again when it is copied.
fn compare_entry(
    defaults: BorrowedFd<'_>,
    current: BorrowedFd<'_>,
    name: &CStr,
    path: &Path,
    list: &mut Vec<Change>,
) -> Result<Option<What>> {
    let reading = || format!("Reading /etc/{}", path.display());
    let old = Meta::read(defaults, name).with_context(reading)?;
    let new = match Meta::read(current, name) {
        Err(Errno::NOENT) => return Ok(Some(What::Removed)),
        other => other.with_context(reading)?,
    };
    if old.kind() != new.kind() {
        return Ok(Some(What::Modified));
    }
    let differs = match old.kind() {
        FileType::Directory => {
            let current = match open_dir(current, name) {
                Err(error) if has_changed(&error) => return Ok(Some(What::Modified)),
                other => other?,
            };
            compare(open_dir(defaults, name)?.as_fd(), current.as_fd(), path, list)?;
            Ok(false)
        }
        FileType::RegularFile if old.stat.st_size == new.stat.st_size => {
            same_content(defaults, current, name).map(|same| !same)
        }
        FileType::RegularFile => Ok(true),
        FileType::Symlink => same_link(defaults, current, name).map(|same| !same),
        _ => Ok(false),
    };
    let differs = match differs {
        Err(error) if has_changed(&error) => true,
        other => other.with_context(|| format!("Comparing /etc/{}", path.display()))?,
    };
    Ok((differs || !old.same(&new)).then_some(What::Modified))
}

fn same_link(a: BorrowedFd<'_>, b: BorrowedFd<'_>, name: &CStr) -> Result<bool> {
    let target = |dir| rustix::fs::readlinkat(dir, name, Vec::new());
    Ok(target(a)? == target(b)?)
}

fn same_content(a: BorrowedFd<'_>, b: BorrowedFd<'_>, name: &CStr) -> Result<bool> {
    let (mut a, mut b) = (open_file(a, name)?, open_file(b, name)?);
    let (mut from_a, mut from_b) = (vec![0; 32768], vec![0; 32768]);
    loop {
        let got = a.read(&mut from_a)?;
        if got == 0 {
            // The other one may have grown since its size was read.
            return Ok(b.read(&mut from_b)? == 0);
        }
        match b.read_exact(&mut from_b[..got]) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(false),
            other => other?,
        }
        if from_a[..got] != from_b[..got] {
            return Ok(false);
        }
    }
}
