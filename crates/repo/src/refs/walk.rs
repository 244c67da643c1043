// SPDX-License-Identifier: MIT OR Apache-2.0
//! Walking directories of refs.
//!
//! A ref may be reached through a link to a directory, and then it keeps its commit like any other: so links are followed wherever
//! a directory is expected, but not in circles. Names that no ref has, such as those of files that are being written
//! ([`durable::is_temporary`]), are nobody's business; the C tools pass over them as well.

use std::os::fd::BorrowedFd;

use anyhow::{Context as _, Result};
use rustix::fs::{AtFlags, FileType, Mode as Permissions, fstat, openat, statat};
use rustix::io::Errno;

use super::name::is_component;
use crate::scan;

/// Links that lead from one directory to the next on the way to a ref. More are followed by nobody who means well: the kernel gives up
/// after 40 (`path_resolution(7)`).
const MAX_LINKS: usize = 8;

/// A directory that is about to be read.
struct Pending {
    path: String,
    /// Device and inode of itself and of the directories above it, if a link is on the way: none of them comes again below.
    above: Vec<(u64, u64)>,
    links: usize,
}

/// Calls `found` with the path and the kind of every file or link below the directory `root` whose name could be that of a ref.
pub(super) fn files(
    repo: BorrowedFd<'_>,
    root: &str,
    mut found: impl FnMut(&str, FileType) -> Result<()>,
) -> Result<()> {
    walk(repo, root, |path, kind| if kind == FileType::Directory { Ok(()) } else { found(path, kind) })
}

/// The paths of `root` and of all directories below it.
pub(super) fn all_directories(repo: BorrowedFd<'_>, root: &str) -> Result<Vec<String>> {
    let mut out = vec![root.to_owned()];
    walk(repo, root, |path, kind| {
        out.extend((kind == FileType::Directory).then(|| path.to_owned()));
        Ok(())
    })?;
    Ok(out)
}

/// The names of the directories in `root`, and of the links to some.
pub(super) fn directories(repo: BorrowedFd<'_>, root: &str) -> Result<Vec<String>> {
    let dir = match openat(repo, root, crate::dirs::DIR_FLAGS, Permissions::empty()) {
        Err(Errno::NOENT) => return Ok(Vec::new()),
        dir => dir.with_context(|| root.to_owned())?,
    };
    let mut out = Vec::new();
    scan::entries(&dir, |name, kind| {
        let is_directory = kind == FileType::Directory
            || kind == FileType::Symlink && leads_to_directory(repo, &format!("{root}/"), name);
        out.extend(is_directory.then(|| str::from_utf8(name).ok()).flatten().map(str::to_owned));
        Ok(())
    })?;
    Ok(out)
}

fn leads_to_directory(repo: BorrowedFd<'_>, parent: &str, name: &[u8]) -> bool {
    let stat = statat(repo, [parent.as_bytes(), name].concat(), AtFlags::empty());
    stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// Calls `found` with everything that could be a ref, or holds some.
fn walk(repo: BorrowedFd<'_>, root: &str, mut found: impl FnMut(&str, FileType) -> Result<()>) -> Result<()> {
    let mut left = vec![Pending { path: root.to_owned(), above: Vec::new(), links: 0 }];
    while let Some(Pending { path, mut above, links }) = left.pop() {
        let dir = match openat(repo, path.as_str(), crate::dirs::DIR_FLAGS, Permissions::empty()) {
            // A ref there is not resolved, either.
            Err(Errno::NOENT | Errno::NAMETOOLONG | Errno::LOOP) => continue,
            dir => dir.with_context(|| path.clone())?,
        };
        let stat = fstat(&dir).with_context(|| path.clone())?;
        let this = (stat.st_dev, stat.st_ino);
        if above.contains(&this) {
            continue;
        }
        above.push(this);
        scan::entries(&dir, |name, kind| {
            let Some(name) = str::from_utf8(name).ok().filter(|name| is_component(name)) else {
                return Ok(());
            };
            let child = format!("{path}/{name}");
            let is_link = kind == FileType::Symlink && leads_to_directory(repo, "", child.as_bytes());
            if kind != FileType::Directory && !is_link {
                return found(&child, kind);
            }
            let links = links + usize::from(is_link);
            if links <= MAX_LINKS {
                found(&child, FileType::Directory)?;
                left.push(Pending { path: child, above: above.clone(), links });
            }
            Ok(())
        })?;
    }
    Ok(())
}
