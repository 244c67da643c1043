// SPDX-License-Identifier: MIT OR Apache-2.0
//! Copies of files that share what the file system lets them share.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Result};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, SeekFrom, Stat, Uid, XattrFlags};
use rustix::io::Errno;

use crate::directory::sync_dir;
use crate::fault::Mutant;
use crate::file::{Draft, write_all};
use crate::open::open_to_read;

/// Where the capabilities of a program are.
const CAPABILITIES: &str = "security.capability";

/// The parts that a copy may have in common with its source.
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
/// kernel, else by hand. Owner, mode and capabilities are the source's; where the owner cannot be, the copy runs with nobody's
/// rights: it has no setuid, setgid nor capabilities.
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
        let source = open_to_read(from.0, from.1, OFlags::NOFOLLOW)?;
        if sharing == Sharing::Link && link(&source, from, to)? {
            return Ok(());
        }
        let stat = rustix::fs::fstat(&source)?;
        // Else somebody could run the contents with the rights of the copy's first owner.
        let mut draft = Draft::new(to.0, to.1, Mode::from_raw_mode(stat.st_mode & 0o777))?;
        fill(source.as_fd(), draft.file.as_fd())?;
        give_rights(&source, &stat, &draft.file)?;
        if over { draft.publish_over() } else { draft.publish_new() }
    };
    run().with_context(|| format!("Copying {} to {}", from.1, to.1))
}

/// Gives a copy the owner, the mode and the capabilities of its source.
///
/// In this order: a change of the owner takes setuid, setgid and capabilities away, whoever makes it.
fn give_rights(source: &OwnedFd, stat: &Stat, copy: &OwnedFd) -> Result<()> {
    let owner = (Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)));
    match rustix::fs::fchown(copy, owner.0, owner.1) {
        Ok(()) => {}
        // Without privileges every file is the caller's; FAT has no owners.
        Err(Errno::PERM | Errno::INVAL) => return Ok(()),
        Err(err) => return Err(err.into()),
    }
    if stat.st_mode & 0o7000 != 0 {
        rustix::fs::fchmod(copy, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    }
    // More than the largest that there is.
    let mut capabilities = [0; 64];
    match rustix::fs::fgetxattr(source, CAPABILITIES, &mut capabilities) {
        Ok(length) => {
            let value = capabilities.get(..length).unwrap_or_default();
            match rustix::fs::fsetxattr(copy, CAPABILITIES, value, XattrFlags::empty()) {
                Ok(()) | Err(Errno::PERM | Errno::OPNOTSUPP) => Ok(()),
                Err(err) => Err(err.into()),
            }
        }
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
        Err(err) => Err(err.into()),
    }
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

/// Gives `to`, which is empty, the contents of `from`, the cheapest way that works: blocks that are shared, of a sparse file
/// its data, a copy by the kernel, a copy by hand. Nothing is synced. Both descriptors stand at the beginning.
pub fn fill(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    let ways: [fn(BorrowedFd<'_>, BorrowedFd<'_>) -> Result<Way>; 4] =
        [clone, copy_around_holes, copy_by_kernel, copy_by_hand];
    for way in ways {
        if way(from, to)? == Way::Works {
            break;
        }
    }
    Ok(())
}

/// Whether a way to copy is there.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    /// All is copied.
    Works,
    /// The next one is to go on from where the descriptors stand.
    IsClosed,
}

/// `FICLONE`. Whatever the reason is that it does not work, a copy may.
fn clone(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<Way> {
    Ok(if rustix::fs::ioctl_ficlone(to, from).is_ok() { Way::Works } else { Way::IsClosed })
}

/// `SEEK_DATA` and `SEEK_HOLE`: what was never written stays a hole, where a copy of zeroes could fill the disk.
fn copy_around_holes(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<Way> {
    let (source, target) = (rustix::fs::fstat(from)?, rustix::fs::fstat(to)?);
    let is_file = |stat: &Stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    let is_sparse = source.st_blocks.saturating_mul(512) < source.st_size;
    if !is_sparse || !is_file(&source) || !is_file(&target) {
        return Ok(Way::IsClosed);
    }
    let mut at = 0;
    loop {
        let begin = match rustix::fs::seek(from, SeekFrom::Data(at)) {
            Ok(begin) => begin,
            // Nothing but a hole is left.
            Err(Errno::NXIO) => break,
            Err(Errno::INVAL | Errno::OPNOTSUPP) if at == 0 => return Ok(Way::IsClosed),
            Err(errno) => return Err(errno.into()),
        };
        let end = rustix::fs::seek(from, SeekFrom::Hole(begin))?;
        copy_range(from, to, begin, end)?;
        at = end;
    }
    let size = u64::try_from(rustix::fs::fstat(from)?.st_size).unwrap_or_default();
    rustix::fs::ftruncate(to, size)?;
    Ok(Way::Works)
}

/// Copies from `begin` to `end`, or to where the source ends by now.
fn copy_range(from: BorrowedFd<'_>, to: BorrowedFd<'_>, begin: u64, end: u64) -> Result<()> {
    const CHUNK: u64 = 1 << 17;
    let mut at = begin;
    while at < end {
        let most = usize::try_from(end - at).unwrap_or(usize::MAX).min(1 << 30);
        let (mut read, mut written) = (at, at);
        match rustix::fs::copy_file_range(from, Some(&mut read), to, Some(&mut written), most) {
            Ok(0) => return Ok(()),
            Ok(_) => at = written,
            Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL | Errno::PERM) => {
                let mut buffer = vec![0; usize::try_from(CHUNK.min(end - at))?];
                let got = rustix::io::pread(from, &mut buffer, at)?;
                if got == 0 {
                    return Ok(());
                }
                rustix::fs::seek(to, SeekFrom::Start(at))?;
                write_all(to, buffer.get(..got).unwrap_or_default())?;
                at += got as u64;
            }
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// `copy_file_range`.
fn copy_by_kernel(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<Way> {
    /// As much as the kernel copies in one call.
    const CHUNK: usize = 1 << 30;
    loop {
        match rustix::fs::copy_file_range(from, None, to, None, CHUNK) {
            Ok(0) => return Ok(Way::Works),
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL | Errno::PERM) => {
                return Ok(Way::IsClosed);
            }
            Err(err) => return Err(err.into()),
        }
    }
}

/// `read` and `write`.
fn copy_by_hand(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<Way> {
    let mut buffer = vec![0; 1 << 17];
    loop {
        match rustix::io::read(from, &mut buffer) {
            Ok(0) => return Ok(Way::Works),
            Ok(read) => write_all(to, buffer.get(..read).unwrap_or_default())?,
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

    /// Each way alone, and each from where the one before it has stopped.
    #[test]
    fn every_way_copies_all() {
        let temp = tempfile::tempdir().unwrap();
        let contents: Vec<u8> = (0..300_000_u32).map(|i| (i % 251) as u8).collect();
        std::fs::write(temp.path().join("from"), &contents).unwrap();
        for (name, begun, way) in [
            ("kernel", 0, copy_by_kernel as fn(BorrowedFd<'_>, BorrowedFd<'_>) -> Result<Way>),
            ("hand", 0, copy_by_hand),
            ("kernel-continued", 100_000, copy_by_kernel),
            ("hand-continued", 100_000, copy_by_hand),
        ] {
            let from = std::fs::File::open(temp.path().join("from")).unwrap();
            let to = std::fs::File::create(temp.path().join(name)).unwrap();
            rustix::io::write(&to, &contents[..begun]).unwrap();
            rustix::fs::seek(&from, rustix::fs::SeekFrom::Start(begun as u64)).unwrap();
            assert_eq!(way(from.as_fd(), to.as_fd()).unwrap(), Way::Works, "{name}");
            assert_eq!(std::fs::read(temp.path().join(name)).unwrap(), contents, "{name}");
        }
    }

    /// A way that is closed leaves both descriptors to the next one.
    #[test]
    fn a_closed_way_is_not_the_last() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::write(temp.path().join("from"), "contents").unwrap();
        let from = std::fs::File::open(temp.path().join("from")).unwrap();
        // The kernel copies from no file to one that is appended to, nor shares its blocks with a pipe.
        let to = std::fs::File::options().append(true).create(true).open(temp.path().join("to")).unwrap();
        let (_read, pipe) = std::io::pipe().unwrap();
        assert_eq!(clone(from.as_fd(), pipe.as_fd()).unwrap(), Way::IsClosed);
        assert!(copy_by_kernel(from.as_fd(), to.as_fd()).is_err(), "EBADF is no closed way but a mistake");
        assert_eq!(copy_by_kernel(from.as_fd(), pipe.as_fd()).unwrap(), Way::IsClosed);
        fill(from.as_fd(), pipe.as_fd()).unwrap();
        let mut got = [0; 8];
        rustix::io::read(&_read, &mut got).unwrap();
        assert_eq!(&got, b"contents");
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
