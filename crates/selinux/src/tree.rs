// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files and directories of a tree that somebody else has made.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Result, ensure};
use kernel::open_in_root::open_in_root;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// The largest file of a policy, in bytes. Those of distributions have half a megabyte.
const LONGEST: u64 = 32 << 20;

/// The largest configuration, in bytes.
const LONGEST_CONFIG: u64 = 64 * 1024;

/// Reads a file of the tree; links in it stay in it.
pub(crate) fn read(tree: BorrowedFd<'_>, path: &str) -> Result<Option<Vec<u8>>> {
    read_up_to(tree, path, LONGEST, "longer than any policy")
}

/// Reads a text of the tree; links in it stay in it.
pub(crate) fn read_text(tree: BorrowedFd<'_>, path: &str) -> Result<Option<String>> {
    let Some(bytes) = read_up_to(tree, path, LONGEST_CONFIG, "longer than any configuration")? else {
        return Ok(None);
    };
    String::from_utf8(bytes).map(Some).with_context(|| format!("Reading /{path} of the tree"))
}

fn read_up_to(tree: BorrowedFd<'_>, path: &str, longest: u64, too_long: &str) -> Result<Option<Vec<u8>>> {
    let file = match open_in_root(tree, path) {
        Err(Errno::NOENT) => return Ok(None),
        other => File::from(other.with_context(|| format!("Opening /{path} of the tree"))?),
    };
    let mut bytes = Vec::new();
    file.take(longest + 1).read_to_end(&mut bytes).with_context(|| format!("Reading /{path} of the tree"))?;
    ensure!(bytes.len() as u64 <= longest, "/{path} of the tree is {too_long}");
    Ok(Some(bytes))
}

/// Opens a directory; `None` where there is nothing of this name.
pub(crate) fn find_dir(at: impl AsFd, path: &str) -> Result<Option<OwnedFd>> {
    match rustix::fs::openat(at, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
        Err(Errno::NOENT) => Ok(None),
        opened => opened.map(Some).with_context(|| format!("Opening {path}")),
    }
}
