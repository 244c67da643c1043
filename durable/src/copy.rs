// SPDX-License-Identifier: MIT OR Apache-2.0
//! Copies of files that share what the file system lets them share.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Result};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use crate::directory::sync_dir;
use crate::fault::Mutant;
use crate::file::{Draft, write_all};

/// What a copy may have in common with its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Everything: a hard link, where both are on one file system. For files that nobody writes to.
    Link,
    /// The blocks, until one of them is written to: a reflink.
    Blocks,
}

/// A file by its directory and its path below it.
pub type Place<'a> = (BorrowedFd<'a>, &'a str);

/// Copies a file to a name that is free.
///
/// Order, for a link: `fsync` of the file (the source was perhaps never synced), link, `fsync` of the directory.
/// For a copy: as [`write_new`](crate::write_new). Blocks are shared with `FICLONE` where possible, else copied by the
/// kernel, else by hand. Mode and owner are the source's.
///
/// The source's path may have slashes, but no component of it that is its last may be a link.
pub fn copy_file_new(from: Place<'_>, to: Place<'_>, sharing: Sharing) -> Result<()> {
    copy(from, to, sharing, false)
}

/// As [`copy_file_new`], over whatever has the name.
pub fn copy_file_replace(from: Place<'_>, to: Place<'_>) -> Result<()> {
    copy(from, to, Sharing::Blocks, true)
}

fn copy(from: Place<'_>, to: Place<'_>, sharing: Sharing, over: bool) -> Result<()> {
    let run = || {
        let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let source = rustix::fs::openat(from.0, from.1, read, Mode::empty())?;
        if sharing == Sharing::Link && link(&source, from, to)? {
            return Ok(());
        }
        let stat = rustix::fs::fstat(&source)?;
        let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
        let mut draft = Draft::new(to.0, to.1, mode)?;
        fill(&source, &draft.file)?;
        let owner = (Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)));
        match rustix::fs::fchown(&draft.file, owner.0, owner.1) {
            // Without privileges every file is the caller's; FAT has no owners.
            Ok(()) | Err(Errno::PERM | Errno::INVAL) => {}
            Err(err) => return Err(err.into()),
        }
        if over { draft.publish_over() } else { draft.publish_new() }
    };
    run().with_context(|| format!("Copying {} to {}", from.1, to.1))
}

/// Links the source to its new name; says whether that was possible.
fn link(source: &OwnedFd, from: Place<'_>, to: Place<'_>) -> Result<bool> {
    if !Mutant::NoFileSync.is_on() {
        rustix::fs::fsync(source)?;
    }
    match rustix::fs::linkat(from.0, from.1, to.0, to.1, AtFlags::empty()) {
        Ok(()) => sync_dir(to.0).map(|()| true),
        // Another file system, another mount of it, no links there, too many of them, or not allowed to.
        Err(Errno::XDEV | Errno::OPNOTSUPP | Errno::MLINK | Errno::PERM) => Ok(false),
        Err(err) => Err(err.into()),
    }
}

/// Gives `to` the contents of `from`, the cheapest way that works.
fn fill(from: &OwnedFd, to: &OwnedFd) -> Result<()> {
    if rustix::fs::ioctl_ficlone(to, from).is_ok() {
        return Ok(());
    }
    /// As much as the kernel copies in one call.
    const CHUNK: usize = 1 << 30;
    loop {
        match rustix::fs::copy_file_range(from, None, to, None, CHUNK) {
            Ok(0) => return Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL | Errno::PERM) => break,
            Err(err) => return Err(err.into()),
        }
    }
    // Both offsets stand where the kernel has stopped.
    let mut buffer = vec![0; 1 << 17];
    loop {
        match rustix::io::read(from, &mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => write_all(to.as_fd(), buffer.get(..read).unwrap_or_default())?,
            Err(Errno::INTR) => {}
            Err(err) => return Err(err.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn shares_what_it_may() {
        let temp = tempfile::tempdir().unwrap();
        let dir = std::fs::File::open(temp.path()).unwrap();
        let dir = dir.as_fd();
        let contents = vec![7; 300_000];
        std::fs::write(temp.path().join("a"), &contents).unwrap();
        let inode = |name: &str| std::fs::metadata(temp.path().join(name)).unwrap().ino();

        copy_file_new((dir, "a"), (dir, "link"), Sharing::Link).unwrap();
        assert_eq!(inode("a"), inode("link"));
        copy_file_new((dir, "a"), (dir, "copy"), Sharing::Blocks).unwrap();
        assert_ne!(inode("a"), inode("copy"));
        assert_eq!(std::fs::read(temp.path().join("copy")).unwrap(), contents);

        let err = copy_file_new((dir, "a"), (dir, "copy"), Sharing::Link).unwrap_err();
        assert_eq!(format!("{err:#}"), "Copying a to copy: File exists (os error 17)");
        std::fs::write(temp.path().join("b"), "b").unwrap();
        copy_file_replace((dir, "b"), (dir, "link")).unwrap();
        assert_eq!(std::fs::read(temp.path().join("link")).unwrap(), b"b");
        assert_eq!(std::fs::read(temp.path().join("a")).unwrap(), contents);
    }

    #[test]
    fn follows_no_link() {
        let temp = tempfile::tempdir().unwrap();
        let dir = std::fs::File::open(temp.path()).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", temp.path().join("a")).unwrap();
        assert!(copy_file_new((dir.as_fd(), "a"), (dir.as_fd(), "b"), Sharing::Link).is_err());
        assert!(!temp.path().join("b").exists());
    }
}
