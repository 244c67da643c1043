// SPDX-License-Identifier: MIT OR Apache-2.0
//! Removing a tree, and going on where something in it will not go.

use std::ffi::{CStr, CString};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{AtFlags, FileType, IFlags};
use rustix::io::Errno;

use crate::descent::{Descent, Mounts, shown};
use crate::list::list;
use crate::open_on_mount;

/// How often a directory is emptied in which somebody makes new files meanwhile.
const ATTEMPTS: u8 = 3;

/// The outcome of [`remove_tree`].
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Removal {
    /// How many names are gone.
    pub removed: u64,
    /// Paths that are still there, and why: immutable files, mount points. Of a very long path, [as it is shown](shown).
    pub failed: Vec<(PathBuf, Errno)>,
}

impl Removal {
    /// Whether nothing is left.
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty()
    }

    /// Fails if something is left.
    ///
    /// # Errors
    /// The first path that is still there, and why.
    pub fn require_complete(&self) -> Result<()> {
        match self.failed.first() {
            None => Ok(()),
            Some((path, errno)) => Err(*errno).with_context(|| format!("{} is still there", path.display())),
        }
    }

    fn keep(&mut self, path: &Path, errno: Errno) {
        self.failed.push((shown(path), errno));
    }
}

/// Removes `name` below `dir`, with everything in it, however deep that is; what is not there is no error.
///
/// Follows no link and enters no other mount. One file that cannot be removed does not keep the rest: it is
/// reported, and its neighbours go. The immutable flag is taken off `name` itself (a deployment's root has it) and
/// off nothing else. No sync: a name that comes back after a power cut is removed by the next try.
pub fn remove_tree(dir: BorrowedFd<'_>, name: &str) -> Result<Removal> {
    remove(dir, &CString::new(name)?, true)
}

/// As [`remove_tree`], for a name that somebody else has given and a flag that somebody else has set: it stays.
pub fn remove_named(dir: BorrowedFd<'_>, name: &CStr) -> Result<Removal> {
    remove(dir, name, false)
}

fn remove(dir: BorrowedFd<'_>, name: &CStr, lifts_flag: bool) -> Result<Removal> {
    let shown = name.to_string_lossy();
    let mut removal = Removal::default();
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) => removal.removed += 1,
        Err(Errno::NOENT) => {}
        Err(errno @ (Errno::ISDIR | Errno::PERM)) => match open_on_mount(dir, name) {
            Ok(top) => {
                if lifts_flag {
                    clear_immutable(&top);
                }
                remove_directory(dir, name, &mut removal).with_context(|| format!("Removing {shown}"))?;
            }
            // A file that is immutable.
            Err(Errno::NOTDIR | Errno::LOOP) => removal.keep(Path::new(shown.as_ref()), errno),
            Err(errno @ Errno::XDEV) => removal.keep(Path::new(shown.as_ref()), errno),
            Err(err) => return Err(err).with_context(|| format!("Opening {shown}")),
        },
        Err(err) => return Err(err).with_context(|| format!("Removing {shown}")),
    }
    Ok(removal)
}

/// A directory that is being emptied.
struct Emptied {
    /// The directories in it that are still to go, and for how many times that was tried.
    below: Vec<(CString, u8)>,
    /// Whether something in it stays, which has been reported.
    keeps: bool,
    /// Which attempt this is.
    attempt: u8,
}

/// Removes the directory `name` of `dir`, from the bottom up.
fn remove_directory(dir: BorrowedFd<'_>, name: &CStr, removal: &mut Removal) -> Result<(), Errno> {
    let mut descent = Descent::new(dir, Mounts::Keep)?;
    // The first level stands for `dir`, of which only the one name is to go.
    let mut levels = vec![Emptied { below: vec![(name.to_owned(), 1)], keeps: false, attempt: 1 }];
    while let Some(mut level) = levels.pop() {
        if let Some((name, attempt)) = level.below.pop() {
            let entered = descent.enter(&name);
            if let Err(errno) = entered
                && errno != Errno::NOENT
            {
                removal.keep(&descent.path_of(&name), errno);
                level.keeps = true;
            }
            levels.push(level);
            if entered.is_ok() {
                levels.push(empty(&descent, attempt, removal));
            }
            continue;
        }
        let path = descent.path().to_owned();
        let Some(name) = descent.leave() else { break };
        let is_in_place = descent.depth() + 1 == levels.len();
        levels.truncate(descent.depth() + 1);
        let Some(above) = levels.last_mut() else { break };
        let gone = match is_in_place {
            true => rustix::fs::unlinkat(descent.here(), &name, AtFlags::REMOVEDIR),
            // Somebody has moved a directory away that this one was in.
            false => Err(Errno::STALE),
        };
        match gone {
            Ok(()) => removal.removed += 1,
            Err(Errno::NOENT) => {}
            Err(Errno::NOTEMPTY | Errno::EXIST) if level.keeps => above.keeps = true,
            Err(Errno::NOTEMPTY | Errno::EXIST) if level.attempt < ATTEMPTS => {
                above.below.push((name, level.attempt + 1));
            }
            Err(errno) => {
                removal.keep(&path, errno);
                above.keeps = true;
            }
        }
    }
    Ok(())
}

/// Removes all from a directory but the directories in it.
fn empty(descent: &Descent, attempt: u8, removal: &mut Removal) -> Emptied {
    let mut here = Emptied { below: Vec::new(), keeps: false, attempt };
    let listed = list(descent.here(), |name, kind| {
        let unlinked = match kind {
            FileType::Directory => Err(Errno::ISDIR),
            _ => rustix::fs::unlinkat(descent.here(), name, AtFlags::empty()),
        };
        match unlinked {
            Ok(()) => removal.removed += 1,
            Err(Errno::NOENT) => {}
            Err(Errno::ISDIR) => here.below.push((name.to_owned(), 1)),
            Err(errno) => {
                removal.keep(&descent.path_of(name), errno);
                here.keeps = true;
            }
        }
    });
    if let Err(errno) = listed {
        removal.keep(descent.path(), errno);
        here.keeps = true;
    }
    here
}

/// Lifts the flag if it is set. Where that fails, the removal says so.
fn clear_immutable(dir: &OwnedFd) {
    if let Ok(flags) = rustix::fs::ioctl_getflags(dir)
        && flags.contains(IFlags::IMMUTABLE)
    {
        let _ = rustix::fs::ioctl_setflags(dir, flags.difference(IFlags::IMMUTABLE));
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn removes_what_is_there_and_follows_nothing() {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        std::fs::create_dir_all(at("keep")).unwrap();
        std::fs::write(at("keep/file"), "x").unwrap();
        std::fs::create_dir_all(at("tree/a/b")).unwrap();
        std::fs::write(at("tree/a/b/file"), "x").unwrap();
        std::os::unix::fs::symlink("../keep", at("tree/link")).unwrap();
        let dir = std::fs::File::open(temp.path()).unwrap();
        let removal = remove_tree(dir.as_fd(), "tree").unwrap();
        assert_eq!(removal, Removal { removed: 5, failed: vec![] });
        assert!(!at("tree").exists() && at("keep/file").exists());
        assert_eq!(remove_tree(dir.as_fd(), "tree").unwrap(), Removal::default());
    }
}
