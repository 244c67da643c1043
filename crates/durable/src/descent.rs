// SPDX-License-Identifier: MIT OR Apache-2.0
//! Going down into a tree and up again, however deep it is.
//!
//! Users make trees that are deeper than a process has descriptors, than a stack has room for recursion, and than the kernel
//! takes a path (`PATH_MAX`). So the way down is a list, the deepest directories alone are open, and the way up is `..`:
//! what that leads to must be the very directory that was left on the way down, by device and inode. Where somebody has
//! moved it meanwhile, the way is looked for again from the top, name by name, by the same test.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, Stat};
use rustix::io::Errno;

use crate::open::{DIRECTORY, open_on_mount};

/// How many directories are open at once, beside the top one. Few trees are deeper, so that hardly any is opened twice; and
/// two descents leave most of the smallest usual limit of 256 to others.
const OPEN: usize = 32;

/// Whether other mounts are part of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mounts {
    /// They are entered.
    Enter,
    /// Entering one is an error, `EXDEV`, be it of the same device.
    Keep,
}

/// A directory in a tree, and the way back to the top of the tree.
#[derive(Debug)]
pub struct Descent {
    mounts: Mounts,
    /// From the top to here; never empty.
    levels: Vec<Level>,
    /// The first of the levels that are open up to the last one; those between it and the top are not.
    first_open: usize,
    /// The names on the way, with slashes between them.
    path: Vec<u8>,
}

#[derive(Debug)]
struct Level {
    /// Where its name begins in the path.
    name: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    Open(OwnedFd),
    /// Device and inode.
    Closed(u64, u64),
}

impl Descent {
    /// Begins at `top`, by a descriptor of its own that stays open.
    pub fn new(top: impl AsFd, mounts: Mounts) -> Result<Self, Errno> {
        let top = rustix::fs::openat(top, c".", DIRECTORY, Mode::empty())?;
        let top = Level { name: 0, state: State::Open(top) };
        Ok(Self { mounts, levels: vec![top], first_open: 0, path: Vec::new() })
    }

    /// The directory that was reached.
    pub fn here(&self) -> BorrowedFd<'_> {
        match self.levels.last().map(|level| &level.state) {
            Some(State::Open(fd)) => fd.as_fd(),
            // The last level is always open.
            _ => rustix::fs::CWD,
        }
    }

    /// How many directories lie between here and the top: 0 at the top.
    pub fn depth(&self) -> usize {
        self.levels.len() - 1
    }

    /// Here, as seen from the top; empty at the top. It may be longer than any path that the kernel takes.
    pub fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.path))
    }

    /// Something in here, as seen from the top.
    pub fn path_of(&self, name: &CStr) -> PathBuf {
        self.path().join(OsStr::from_bytes(name.to_bytes()))
    }

    /// Goes into a directory of this one, through no link.
    pub fn enter(&mut self, name: &CStr) -> Result<(), Errno> {
        let inside = self.open(self.here(), name)?;
        if self.levels.len().saturating_sub(self.first_open) > OPEN {
            self.close_first()?;
        }
        let begins = self.path.len() + usize::from(!self.path.is_empty());
        if begins > 0 {
            self.path.push(b'/');
        }
        self.path.extend(name.to_bytes());
        self.levels.push(Level { name: begins, state: State::Open(inside) });
        Ok(())
    }

    /// Goes back up, and gives the name of what was left: to the directory above, or if somebody has moved that away, to the next
    /// one that is still in its place. At the top there is nothing to leave.
    pub fn leave(&mut self) -> Option<CString> {
        if self.levels.len() < 2 {
            return None;
        }
        let left = self.levels.pop()?;
        let name = CString::new(self.path.get(left.name..).unwrap_or_default()).unwrap_or_default();
        self.path.truncate(left.name.saturating_sub(1));
        let State::Open(below) = left.state else { return Some(name) };
        let Some(Level { state: state @ State::Closed(..), .. }) = self.levels.last_mut() else {
            return Some(name);
        };
        match reopen(below.as_fd(), state) {
            Ok(fd) => {
                *state = State::Open(fd);
                self.first_open = self.depth();
            }
            Err(_) => self.find_again(),
        }
        Some(name)
    }

    fn open(&self, dir: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
        match self.mounts {
            Mounts::Enter => rustix::fs::openat(dir, name, DIRECTORY, Mode::empty()),
            Mounts::Keep => open_on_mount(dir, name),
        }
    }

    /// Closes the first of the open directories, but for the top one.
    fn close_first(&mut self) -> Result<(), Errno> {
        self.first_open = self.first_open.max(1);
        if let Some(level) = self.levels.get_mut(self.first_open)
            && let State::Open(fd) = &level.state
        {
            let (device, inode) = identity(&rustix::fs::fstat(fd)?);
            level.state = State::Closed(device, inode);
            self.first_open += 1;
        }
        Ok(())
    }

    /// Goes down from the top as far as everything is still in its place.
    fn find_again(&mut self) {
        let names: Vec<CString> = std::mem::take(&mut self.path)
            .split(|byte| *byte == b'/')
            .map(|name| CString::new(name).unwrap_or_default())
            .collect();
        let levels = self.levels.split_off(1);
        self.first_open = 0;
        for (level, name) in levels.iter().zip(&names) {
            let State::Closed(device, inode) = level.state else { break };
            if self.enter(name).is_err() {
                break;
            }
            if !rustix::fs::fstat(self.here()).is_ok_and(|stat| identity(&stat) == (device, inode)) {
                self.leave();
                break;
            }
        }
    }
}

/// Opens the directory above `below` if it is the one that was closed.
fn reopen(below: BorrowedFd<'_>, state: &State) -> Result<OwnedFd, Errno> {
    let above = rustix::fs::openat(below, c"..", DIRECTORY, Mode::empty())?;
    let (device, inode) = identity(&rustix::fs::fstat(&above)?);
    match state {
        State::Closed(a, b) if (*a, *b) == (device, inode) => Ok(above),
        _ => Err(Errno::STALE),
    }
}

fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

/// A path as a message can have it: of one that is longer than any screen is wide, the beginning and the end.
pub fn shown(path: &Path) -> PathBuf {
    /// In bytes, of each part.
    const SHOWN: usize = 256;
    let bytes = path.as_os_str().as_bytes();
    if bytes.len() <= 4 * SHOWN {
        return path.to_owned();
    }
    let after = |at: usize| bytes.iter().skip(at).position(|byte| *byte == b'/').map(|found| at + found);
    let (Some(head), Some(tail)) = (after(SHOWN), after(bytes.len() - 2 * SHOWN)) else {
        return path.to_owned();
    };
    let part = |range: Option<&[u8]>| OsStr::from_bytes(range.unwrap_or_default()).to_owned();
    let between = bytes.get(head..tail).unwrap_or_default();
    let count = between.iter().filter(|byte| **byte == b'/').count();
    let mut out = PathBuf::from(part(bytes.get(..head)));
    out.push(format!("({count} directories)"));
    out.push(part(bytes.get(tail + 1..)));
    out
}
