// SPDX-License-Identifier: MIT OR Apache-2.0
//! Removing a tree, and going on where something in it will not go.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{AtFlags, Dir, FileType, IFlags};
use rustix::io::Errno;

use crate::open_on_mount;

/// How deep a tree may be: every level holds a descriptor open.
const MAX_DEPTH: usize = 400;

/// What [`remove_tree`] has done.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Removal {
    /// How many names are gone.
    pub removed: u64,
    /// What is still there, and why: immutable files, mount points, trees that are too deep.
    pub left: Vec<(PathBuf, Errno)>,
}

impl Removal {
    /// Whether nothing is left.
    pub fn is_complete(&self) -> bool {
        self.left.is_empty()
    }

    fn keep(&mut self, path: &Path, errno: Errno) {
        self.left.push((path.to_owned(), errno));
    }
}

/// Removes `name` below `dir`, with everything in it; what is not there is no error.
///
/// Follows no link and enters no other mount. One file that cannot be removed does not keep the rest: it is
/// reported, and its neighbours go. The immutable flag is taken off `name` itself (a deployment's root has it) and
/// off nothing else. No sync: a name that comes back after a power cut is removed by the next try.
pub fn remove_tree(dir: BorrowedFd<'_>, name: &str) -> Result<Removal> {
    let mut removal = Removal::default();
    let path = Path::new(name);
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) => removal.removed += 1,
        Err(Errno::NOENT) => {}
        Err(Errno::ISDIR | Errno::PERM) => {
            match open_on_mount(dir, path) {
                Ok(top) => clear_immutable(&top),
                Err(Errno::NOTDIR | Errno::XDEV) => {}
                Err(err) => return Err(err).with_context(|| format!("Opening {name}")),
            }
            remove_directory(dir, path, path, 0, &mut removal);
        }
        Err(err) => return Err(err).with_context(|| format!("Removing {name}")),
    }
    Ok(removal)
}

/// Removes the directory `name` of `dir`; `path` is what it is called in the report.
fn remove_directory(dir: BorrowedFd<'_>, name: &Path, path: &Path, depth: usize, removal: &mut Removal) {
    if let Err(errno) = open_on_mount(dir, name).and_then(|here| remove_contents(&here, path, depth, removal))
    {
        return removal.keep(path, errno);
    }
    match rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR) {
        Ok(()) => removal.removed += 1,
        Err(Errno::NOENT) => {}
        // What is left inside has been reported.
        Err(Errno::NOTEMPTY | Errno::EXIST)
            if removal.left.iter().any(|(left, _)| left.starts_with(path)) => {}
        Err(errno) => removal.keep(path, errno),
    }
}

fn remove_contents(here: &OwnedFd, path: &Path, depth: usize, removal: &mut Removal) -> Result<(), Errno> {
    if depth == MAX_DEPTH {
        return Err(Errno::NAMETOOLONG);
    }
    for entry in Dir::read_from(here)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") {
            continue;
        }
        let name = Path::new(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(name));
        let inner = path.join(name);
        let unlinked = match entry.file_type() {
            FileType::Directory => Err(Errno::ISDIR),
            _ => rustix::fs::unlinkat(here, name, AtFlags::empty()),
        };
        match unlinked {
            Ok(()) => removal.removed += 1,
            Err(Errno::NOENT) => {}
            Err(Errno::ISDIR) => remove_directory(here.as_fd(), name, &inner, depth + 1, removal),
            Err(errno) => removal.keep(&inner, errno),
        }
    }
    Ok(())
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
        assert_eq!(removal, Removal { removed: 5, left: vec![] });
        assert!(!at("tree").exists() && at("keep/file").exists());
        assert_eq!(remove_tree(dir.as_fd(), "tree").unwrap(), Removal::default());
    }

    #[test]
    fn goes_on_past_what_is_too_deep() {
        let temp = tempfile::tempdir().unwrap();
        let dir = std::fs::File::open(temp.path()).unwrap();
        std::fs::create_dir_all(temp.path().join("tree/beside")).unwrap();
        let deep: PathBuf = std::iter::repeat_n("d", MAX_DEPTH + 5).collect();
        std::fs::create_dir_all(temp.path().join("tree").join(deep)).unwrap();
        let removal = remove_tree(dir.as_fd(), "tree").unwrap();
        assert_eq!(removal.left.len(), 1, "{removal:?}");
        assert!(!temp.path().join("tree/beside").exists());
    }
}
