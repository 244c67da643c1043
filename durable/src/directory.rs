// SPDX-License-Identifier: MIT OR Apache-2.0
//! Directories, and the syncs of directories and file systems.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Result};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::fault::{self, Mutant};

/// How every directory is opened here: as one, and not through a link.
pub(crate) const DIRECTORY: OFlags =
    OFlags::DIRECTORY.union(OFlags::RDONLY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Makes the directory `name` below `dir` if it is not there, and opens it.
///
/// Order: as [`new_dir`], then `fsync` of `dir` if it was new. An existing directory keeps its mode; a link or a
/// file with this name is an error.
pub fn make_dir(dir: BorrowedFd<'_>, name: &str, mode: Mode) -> Result<OwnedFd> {
    match rustix::fs::openat(dir, name, DIRECTORY, Mode::empty()) {
        Err(Errno::NOENT) => {}
        other => return other.with_context(|| format!("Opening directory {name}")),
    }
    let made = new_dir(dir, name, mode).with_context(|| format!("Making directory {name}"))?;
    sync_dir(dir)?;
    Ok(made)
}

/// Makes a directory at a free path below `dir`, and opens it.
///
/// The mode is `mode`, whatever the umask (services must enter `/var`, however careful the shell was that deployed),
/// and nobody ever sees it with another one: it is made as `PATH.tmp` and renamed. What an interruption leaves is
/// that, and the next try takes it.
pub fn new_dir(dir: BorrowedFd<'_>, path: &str, mode: Mode) -> Result<OwnedFd, Errno> {
    if rustix::fs::statat(dir, path, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
        return Err(Errno::EXIST);
    }
    if mode == Mode::RWXU {
        // No umask takes from this.
        rustix::fs::mkdirat(dir, path, mode)?;
        return rustix::fs::openat(dir, path, DIRECTORY, Mode::empty());
    }
    let temporary = format!("{path}.tmp");
    match rustix::fs::mkdirat(dir, &temporary, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    fault::point("make-dir");
    let made = rustix::fs::openat(dir, &temporary, DIRECTORY, Mode::empty())?;
    rustix::fs::fchmod(&made, mode)?;
    rustix::fs::renameat(dir, &temporary, dir, path)?;
    Ok(made)
}

/// Makes the names in `dir` durable: `fsync` of the directory.
///
/// On ext4 this commits the journal, on btrfs it writes the tree log: a reader that replays neither does not
/// see it yet.
pub fn sync_dir(dir: BorrowedFd<'_>) -> Result<()> {
    if Mutant::NoDirectorySync.is_on() {
        return Ok(());
    }
    // A descriptor made with O_PATH cannot be synced; `.` of it can.
    match rustix::fs::fsync(dir) {
        Err(Errno::BADF) => {
            let here = rustix::fs::openat(dir, ".", DIRECTORY, Mode::empty()).context("Opening directory")?;
            rustix::fs::fsync(here)
        }
        other => other,
    }
    .context("Syncing directory")
}

/// Makes durable all that was written to the file system that holds `file`: `syncfs`.
///
/// For a whole tree (a new deployment) one call of this is cheaper than an `fsync` of every file.
pub fn sync_fs(file: impl AsFd) -> Result<()> {
    if Mutant::NoFileSync.is_on() || Mutant::NoDirectorySync.is_on() {
        return Ok(());
    }
    rustix::fs::syncfs(file).context("Syncing file system")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_directory_has_its_mode_whatever_the_umask() {
        let temp = tempfile::tempdir().unwrap();
        let top = std::fs::File::open(temp.path()).unwrap();
        // A bit that every usual umask takes away.
        make_dir(top.as_fd(), "d", Mode::from_raw_mode(0o757)).unwrap();
        let mode = || temp.path().join("d").metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(), 0o757);
        make_dir(top.as_fd(), "d", Mode::from_raw_mode(0o700)).unwrap();
        assert_eq!(mode(), 0o757);
    }

    #[test]
    fn what_an_interruption_left_is_taken() {
        let temp = tempfile::tempdir().unwrap();
        let top = std::fs::File::open(temp.path()).unwrap();
        std::fs::create_dir(temp.path().join("d.tmp")).unwrap();
        new_dir(top.as_fd(), "d", Mode::from_raw_mode(0o757)).unwrap();
        assert_eq!(temp.path().join("d").metadata().unwrap().permissions().mode() & 0o7777, 0o757);
        assert!(!temp.path().join("d.tmp").exists());
        let again = new_dir(top.as_fd(), "d", Mode::RWXU).unwrap_err();
        assert_eq!(again, Errno::EXIST);
        std::fs::write(temp.path().join("f"), "").unwrap();
        let error = make_dir(top.as_fd(), "f", Mode::RWXU).unwrap_err();
        assert_eq!(format!("{error:#}"), "Opening directory f: Not a directory (os error 20)");
    }
}
