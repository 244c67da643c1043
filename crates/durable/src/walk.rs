// SPDX-License-Identifier: MIT OR Apache-2.0
//! Looking at all that is in a tree.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;

use anyhow::{Context, Result};
use rustix::fs::FileType;
use rustix::io::Errno;

use crate::descent::{Descent, Mounts, shown};
use crate::list::list;

/// A walk over a tree, to a directory before what is in it; see [`Descent`] for how.
///
/// Links are not followed. A directory that is gone, or something else, when it is to be entered is passed over: programs may
/// be writing to the tree.
#[derive(Debug)]
pub struct Walk {
    descent: Descent,
    /// The names still to be seen of each directory on the way, last name first.
    ahead: Vec<Vec<(CString, FileType)>>,
    /// The directory that was seen last, and is entered next.
    enter: Option<CString>,
    begun: bool,
}

/// The entry that a walk has come to.
#[derive(Debug)]
pub struct Seen<'a> {
    /// Where it is.
    pub descent: &'a Descent,
    /// Its name there.
    pub name: CString,
    /// Its kind when its directory was listed.
    pub kind: FileType,
}

impl Seen<'_> {
    /// The directory that it is in.
    pub fn dir(&self) -> BorrowedFd<'_> {
        self.descent.here()
    }

    /// As seen from the top.
    pub fn path(&self) -> PathBuf {
        self.descent.path_of(&self.name)
    }
}

impl Walk {
    /// Begins with what is in `top`.
    pub fn new(top: impl AsFd, mounts: Mounts) -> Result<Self> {
        let descent = Descent::new(top, mounts).context("Opening a directory")?;
        Ok(Self { descent, ahead: Vec::new(), enter: None, begun: false })
    }

    /// Goes on to the next entry; `None` after the last one. After an error about a directory the walk goes on behind it.
    #[allow(clippy::should_implement_trait, reason = "an entry borrows the walk")]
    pub fn next(&mut self) -> Result<Option<Seen<'_>>> {
        if !self.begun {
            self.begun = true;
            self.list()?;
        }
        if let Some(name) = self.enter.take() {
            self.go_into(&name)?;
        }
        while let Some(names) = self.ahead.last_mut() {
            if let Some((name, kind)) = names.pop() {
                self.enter = (kind == FileType::Directory).then(|| name.clone());
                return Ok(Some(Seen { descent: &self.descent, name, kind }));
            }
            match self.descent.leave() {
                None => self.ahead.clear(),
                // Of what was moved away the rest is not seen.
                Some(_) => self.ahead.truncate(self.descent.depth() + 1),
            }
        }
        Ok(None)
    }

    /// Leaves out what is in the directory that was seen last.
    pub fn pass_over(&mut self) {
        self.enter = None;
    }

    fn go_into(&mut self, name: &CStr) -> Result<()> {
        match self.descent.enter(name) {
            Ok(()) => {}
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
            Err(errno) => {
                let path = self.descent.path_of(name);
                return Err(errno).with_context(|| format!("Opening {}", shown(&path).display()));
            }
        }
        self.list().inspect_err(|_| {
            self.descent.leave();
            self.ahead.truncate(self.descent.depth() + 1);
        })
    }

    fn list(&mut self) -> Result<()> {
        let mut names = Vec::new();
        list(self.descent.here(), |name, kind| names.push((name.to_owned(), kind)))
            .with_context(|| format!("Reading {}", shown(self.descent.path()).display()))?;
        names.reverse();
        self.ahead.push(names);
        Ok(())
    }
}
