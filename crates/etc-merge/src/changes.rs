// SPDX-License-Identifier: MIT OR Apache-2.0
//! The changes of an administrator: the difference between the defaults of a deployment and its `/etc`.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use durable::{Descent, Mounts, names, open_dir};
use fn_error_context::context;
use rustix::fs::{AtFlags, FileType, Stat};
use rustix::io::Errno;

use crate::copy::{BESIDE, descend, has_changed, open_file, split};
use crate::meta::{Labels, Meta};

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
    /// The kind of change.
    pub what: What,
}

/// The kinds of changes to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It is not among the defaults; what is in a directory is listed as well, down to one that [counts as one](is_one).
    Added,
    /// Content, kind, owner, mode or attributes differ; of a directory that counts as one, or of anything in it.
    Modified,
    /// A default that is gone; a directory stands for all that was in it.
    Removed,
}

/// Whether a directory at this path counts as one thing, which is changed if anything in it is: one that is deeper than
/// anybody has configuration.
///
/// Without such a bound a chain of directories makes a list whose size is the square of its depth, of paths that no call
/// takes any more (`PATH_MAX`).
pub fn is_one(path: &Path) -> bool {
    const LEVELS: usize = 32;
    /// With one more name it is still shorter than 4096 bytes.
    const BYTES: usize = 3072;
    path.as_os_str().len() >= BYTES || path.iter().nth(LEVELS - 1).is_some()
}

impl What {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Modified => "modified",
            Self::Removed => "removed",
        }
    }

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
    /// Compares the defaults (`usr/etc`) with the directory that was made from them (`etc`), or with later defaults.
    pub fn between(defaults: BorrowedFd<'_>, current: BorrowedFd<'_>) -> Result<Self> {
        let mut list = Vec::new();
        let comparison = Comparison { defaults, current, labels: labels(defaults, current)? };
        comparison.run(Path::new(""), &mut list)?;
        list.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self { list })
    }

    /// How many there are of a kind.
    pub fn count(&self, what: What) -> usize {
        self.list.iter().filter(|change| change.what == what).count()
    }
}

/// Whether labels can be compared. Policies that give `usr/etc` another label than `etc` name everything in them differently,
/// and then a label says nothing about who set it.
fn labels(a: BorrowedFd<'_>, b: BorrowedFd<'_>) -> Result<Labels> {
    let read = |dir| Meta::read(dir, c".").context("Reading the attributes of /etc and of its defaults");
    let same = read(a)?.same_label(&read(b)?);
    Ok(if same { Labels::Count } else { Labels::Pass })
}

/// Whether both trees have the same at `path`; of directories, what is in them does not count, unless they
/// [count as one](is_one).
#[context("Comparing /etc/{}", path.display())]
pub fn same_at(a: BorrowedFd<'_>, b: BorrowedFd<'_>, path: &Path) -> Result<bool> {
    let (parent, name) = split(path)?;
    let stat = |dir: BorrowedFd<'_>| -> Result<_> {
        let Some(parent) = descend(dir, parent)? else { return Ok(None) };
        match rustix::fs::statat(&parent, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(None),
            other => Ok(Some((parent, other.with_context(|| format!("Reading /etc/{}", path.display()))?))),
        }
    };
    let (in_a, stat_a, in_b, stat_b) = match (stat(a)?, stat(b)?) {
        (Some((in_a, stat_a)), Some((in_b, stat_b))) => (in_a, stat_a, in_b, stat_b),
        (None, None) => return Ok(true),
        _ => return Ok(false),
    };
    let comparison = Comparison { defaults: in_a.as_fd(), current: in_b.as_fd(), labels: labels(a, b)? };
    if kind(&stat_a) != kind(&stat_b) {
        return Ok(false);
    }
    match comparison.differs(&name, stat_a, stat_b) {
        Err(error) if has_changed(&error) => Ok(false),
        Ok(false) if kind(&stat_a) == FileType::Directory && is_one(path) => {
            let (a, b) = (open_dir(in_a.as_fd(), &name), open_dir(in_b.as_fd(), &name));
            a.and_then(|a| b.map(|b| (a, b))).map_or(Ok(false), |(a, b)| {
                Comparison { defaults: a.as_fd(), current: b.as_fd(), ..comparison }.same_inside()
            })
        }
        differs => Ok(!differs?),
    }
}

/// Two directories that are compared.
#[derive(Clone, Copy)]
struct Comparison<'a> {
    defaults: BorrowedFd<'a>,
    current: BorrowedFd<'a>,
    labels: Labels,
}

impl Comparison<'_> {
    fn run(&self, at: &Path, list: &mut Vec<Change>) -> Result<()> {
        let listing = || format!("Listing {}", Path::new("/etc").join(at).display());
        let in_defaults: BTreeSet<CString> =
            names(self.defaults).with_context(listing)?.into_iter().collect();
        let mut in_current: BTreeSet<CString> =
            names(self.current).with_context(listing)?.into_iter().collect();
        in_current.remove(BESIDE);
        for name in in_defaults.union(&in_current) {
            let path = at.join(OsStr::from_bytes(name.to_bytes()));
            let what = match (in_defaults.contains(name), in_current.contains(name)) {
                (true, false) => Some(What::Removed),
                (false, true) => Some(What::Added),
                _ => self.entry(name, &path, list)?,
            };
            if what == Some(What::Added) {
                add_inside(self.current, name, &path, list)?;
            }
            if let Some(what) = what {
                list.push(Change { path, what });
            }
        }
        Ok(())
    }

    /// How an entry that both have differs; what differs inside a directory goes to `list`. Programs may be writing to
    /// `current`: what changes its kind while it is read counts as modified, and is looked at again when it is copied.
    fn entry(&self, name: &CStr, path: &Path, list: &mut Vec<Change>) -> Result<Option<What>> {
        let reading = || format!("Reading /etc/{}", path.display());
        let stat = |dir| rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW);
        let old = stat(self.defaults).with_context(reading)?;
        let new = match stat(self.current) {
            Err(Errno::NOENT) => return Ok(Some(What::Removed)),
            other => other.with_context(reading)?,
        };
        if kind(&old) != kind(&new) {
            return Ok(Some(What::Modified));
        }
        if kind(&old) == FileType::Directory {
            let current = match open_inside(self.current, name) {
                Err(error) if has_changed(&error) => return Ok(Some(What::Modified)),
                other => other?,
            };
            let defaults = open_inside(self.defaults, name)?;
            let inside = Comparison { defaults: defaults.as_fd(), current: current.as_fd(), ..*self };
            if !is_one(path) {
                inside.run(path, list)?;
            } else if !inside.same_inside().with_context(reading)? {
                return Ok(Some(What::Modified));
            }
        }
        let differs = match self.differs(name, old, new) {
            Err(error) if has_changed(&error) => true,
            other => other.with_context(|| format!("Comparing /etc/{}", path.display()))?,
        };
        Ok(differs.then_some(What::Modified))
    }

    /// Whether both have the same in them, however deep that is.
    fn same_inside(&self) -> Result<bool> {
        let differs = |error: &anyhow::Error| has_changed(error);
        match self.walk_both() {
            Err(error) if differs(&error) => Ok(false),
            other => other,
        }
    }

    fn walk_both(&self) -> Result<bool> {
        let mut a = Descent::new(self.defaults, Mounts::Enter)?;
        let mut b = Descent::new(self.current, Mounts::Enter)?;
        let both = |a: &Descent, b: &Descent| -> Result<Option<Vec<CString>>> {
            let (in_a, mut in_b) = (names(a.here())?, names(b.here())?);
            in_b.retain(|name| name.as_c_str() != BESIDE);
            Ok((in_a == in_b).then_some(in_a))
        };
        let Some(first) = both(&a, &b)? else { return Ok(false) };
        let mut levels = vec![first];
        while let Some(level) = levels.last_mut() {
            let Some(name) = level.pop() else {
                levels.pop();
                if a.leave().is_none() {
                    break;
                }
                b.leave();
                if a.depth() != b.depth() || a.depth() + 1 != levels.len() {
                    // Somebody moves directories there.
                    return Ok(false);
                }
                continue;
            };
            let stat = |dir| rustix::fs::statat(dir, &name, AtFlags::SYMLINK_NOFOLLOW);
            let (in_a, in_b) = (stat(a.here())?, stat(b.here())?);
            let here = Comparison { defaults: a.here(), current: b.here(), labels: self.labels };
            if kind(&in_a) != kind(&in_b) || here.differs(&name, in_a, in_b)? {
                return Ok(false);
            }
            if kind(&in_a) == FileType::Directory {
                a.enter(&name)?;
                b.enter(&name)?;
                let Some(inside) = both(&a, &b)? else { return Ok(false) };
                levels.push(inside);
            }
        }
        Ok(true)
    }

    /// Whether two entries of one kind differ; of directories, what is in them does not count.
    fn differs(&self, name: &CStr, old: Stat, new: Stat) -> Result<bool> {
        // Two versions of the defaults are hard links of the same object where they are the same.
        if (old.st_dev, old.st_ino) == (new.st_dev, new.st_ino) {
            return Ok(false);
        }
        let (a, b) = (self.defaults, self.current);
        let differs = match kind(&old) {
            FileType::RegularFile => old.st_size != new.st_size || !same_content(a, b, name)?,
            FileType::Symlink => !same_link(a, b, name)?,
            _ => false,
        };
        let attributes = |stat, dir| Meta::with_attributes(stat, dir, name);
        Ok(differs || !attributes(old, a)?.same(&attributes(new, b)?, self.labels))
    }
}

fn open_inside(dir: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
    open_dir(dir, name).with_context(|| format!("Opening directory {name:?}"))
}

fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Lists what is in an added entry, if it is a directory.
fn add_inside(parent: BorrowedFd<'_>, name: &CStr, path: &Path, list: &mut Vec<Change>) -> Result<()> {
    if is_one(path) {
        return Ok(());
    }
    let dir = match open_dir(parent, name) {
        Err(Errno::NOTDIR | Errno::LOOP | Errno::NOENT) => return Ok(()),
        other => other.with_context(|| format!("Opening /etc/{}", path.display()))?,
    };
    let children = names(dir.as_fd()).with_context(|| format!("Listing /etc/{}", path.display()))?;
    for child in children.into_iter().filter(|child| child.as_c_str() != BESIDE) {
        let path = path.join(OsStr::from_bytes(child.to_bytes()));
        add_inside(dir.as_fd(), &child, &path, list)?;
        list.push(Change { path, what: What::Added });
    }
    Ok(())
}

fn same_link(a: BorrowedFd<'_>, b: BorrowedFd<'_>, name: &CStr) -> Result<bool> {
    let target = |dir| rustix::fs::readlinkat(dir, name, Vec::new());
    Ok(target(a)? == target(b)?)
}

fn same_content(a: BorrowedFd<'_>, b: BorrowedFd<'_>, name: &CStr) -> Result<bool> {
    let same = durable::same_contents(open_file(a, name)?, open_file(b, name)?);
    Ok(same.map_err(std::io::Error::from)?)
}
