// SPDX-License-Identifier: MIT OR Apache-2.0
//! Directories, and the syncs of directories and file systems.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Result};
use rustix::fs::{AtFlags, Mode, RenameFlags};
use rustix::io::Errno;

use crate::fault::{self, Mutant};
use crate::open::DIRECTORY;
use crate::temporary::make_temporary;

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
/// and nobody ever sees it with another one: it is made beside it under a temporary name, and renamed. An interruption leaves
/// that name and an empty directory ([`is_temporary`](crate::is_temporary)).
pub fn new_dir(dir: BorrowedFd<'_>, path: &str, mode: Mode) -> Result<OwnedFd, Errno> {
    if rustix::fs::statat(dir, path, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
        return Err(Errno::EXIST);
    }
    if mode == Mode::RWXU {
        // No umask takes from this.
        rustix::fs::mkdirat(dir, path, mode)?;
        return rustix::fs::openat(dir, path, DIRECTORY, Mode::empty());
    }
    let parent = path.rfind('/').map_or("", |slash| path.get(..=slash).unwrap_or_default());
    let (temporary, ()) =
        make_temporary(|name| rustix::fs::mkdirat(dir, format!("{parent}{name}"), Mode::RWXU))?;
    let temporary = format!("{parent}{temporary}");
    fault::point("make-dir");
    let finish = || {
        let made = rustix::fs::openat(dir, &temporary, DIRECTORY, Mode::empty())?;
        rustix::fs::fchmod(&made, mode)?;
        rustix::fs::renameat(dir, &temporary, dir, path)?;
        Ok(made)
    };
    finish().inspect_err(|_| {
        let _ = rustix::fs::unlinkat(dir, &temporary, AtFlags::REMOVEDIR);
    })
}

/// The thing that may be at the place of a directory that [`new_tree`] makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occupied {
    /// Nothing: `EEXIST`.
    ByNothing,
    /// An empty directory, which goes.
    ByEmptyDirectory,
}

/// Makes the directory `name` in `place` with all that `fill` puts into it, or none.
///
/// Order: directory under a temporary name in `staging`, on the same file system · `fill` · `syncfs` · rename · `fsync` of both
/// directories. A power cut leaves all of it, or the temporary name ([`is_temporary`](crate::is_temporary)) with a part. So
/// `place` may be somebody's, where every name has a meaning: nothing else is ever seen there.
pub fn new_tree(
    staging: BorrowedFd<'_>,
    (place, name): (BorrowedFd<'_>, &str),
    mode: Mode,
    occupied: Occupied,
    fill: impl FnOnce(BorrowedFd<'_>) -> Result<()>,
) -> Result<()> {
    let make = |name: &str| rustix::fs::mkdirat(staging, name, Mode::RWXU);
    let (staging, temporary) = match Mutant::TemporaryByName.is_on() {
        true => (place, by_name(place, name)),
        false => (staging, make_temporary(make).context("Making a directory")?.0),
    };
    fault::point("make-tree");
    let finish = || -> Result<()> {
        let made = rustix::fs::openat(staging, &temporary, DIRECTORY, Mode::empty())?;
        rustix::fs::fchmod(&made, mode)?;
        fill(made.as_fd())?;
        sync_fs(&made)?;
        fault::point("name-tree");
        match occupied {
            Occupied::ByNothing => rename_to_free(staging, &temporary, place, name)?,
            Occupied::ByEmptyDirectory => rustix::fs::renameat(staging, &temporary, place, name)?,
        }
        sync_dir(place)?;
        sync_dir(staging)
    };
    finish().inspect_err(|_| {
        let _ = crate::remove_tree(staging, &temporary);
    })
}

/// The mistake: a name that may be somebody's, and whatever has it is taken.
fn by_name(place: BorrowedFd<'_>, name: &str) -> String {
    let temporary = format!("{name}.tmp");
    let _ = rustix::fs::mkdirat(place, &temporary, Mode::RWXU);
    temporary
}

/// Renames a directory. Where the file system cannot refuse to replace an empty one, it is looked at before.
fn rename_to_free(
    from: BorrowedFd<'_>,
    temporary: &str,
    to: BorrowedFd<'_>,
    name: &str,
) -> Result<(), Errno> {
    match rustix::fs::renameat_with(from, temporary, to, name, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS) => match rustix::fs::statat(to, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => rustix::fs::renameat(from, temporary, to, name),
            other => other.and(Err(Errno::EXIST)),
        },
        renamed => renamed,
    }
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
    fn a_tree_is_there_whole_or_not_at_all() {
        let temp = tempfile::tempdir().unwrap();
        for dir in ["staging", "place/taken", "place/empty"] {
            std::fs::create_dir_all(temp.path().join(dir)).unwrap();
        }
        std::fs::write(temp.path().join("place/taken/file"), "").unwrap();
        let open = |name: &str| std::fs::File::open(temp.path().join(name)).unwrap();
        let (staging, place) = (open("staging"), open("place"));
        let make = |name: &str, occupied, fails: bool| {
            let place = (place.as_fd(), name);
            new_tree(staging.as_fd(), place, Mode::from_raw_mode(0o757), occupied, |tree| {
                rustix::fs::mkdirat(tree, "below", Mode::RWXU)?;
                if fails { anyhow::bail!("no more") } else { Ok(()) }
            })
        };
        use Occupied::{ByEmptyDirectory, ByNothing};
        for (name, occupied, error) in [
            ("taken", ByNothing, Errno::EXIST),
            ("empty", ByNothing, Errno::EXIST),
            ("taken", ByEmptyDirectory, Errno::NOTEMPTY),
        ] {
            assert_eq!(make(name, occupied, false).unwrap_err().downcast_ref(), Some(&error), "{name}");
        }
        assert!(make("new", ByNothing, true).is_err() && !temp.path().join("place/new").exists());
        assert_eq!(std::fs::read_dir(temp.path().join("staging")).unwrap().count(), 0);
        make("new", ByNothing, false).unwrap();
        make("empty", ByEmptyDirectory, false).unwrap();
        for name in ["new", "empty"] {
            let mode = temp.path().join("place").join(name).metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o757);
            assert!(temp.path().join("place").join(name).join("below").exists());
        }
        assert!(temp.path().join("place/taken/file").exists());
    }

    #[test]
    fn a_directory_of_somebody_with_a_name_like_it_stays() {
        let temp = tempfile::tempdir().unwrap();
        let top = std::fs::File::open(temp.path()).unwrap();
        std::fs::create_dir_all(temp.path().join("d.tmp/data")).unwrap();
        new_dir(top.as_fd(), "d", Mode::from_raw_mode(0o757)).unwrap();
        assert_eq!(temp.path().join("d").metadata().unwrap().permissions().mode() & 0o7777, 0o757);
        assert!(temp.path().join("d.tmp/data").exists() && !temp.path().join("d/data").exists());
        new_dir(top.as_fd(), "d/below", Mode::from_raw_mode(0o757)).unwrap();
        assert_eq!(std::fs::read_dir(temp.path().join("d")).unwrap().count(), 1);
        let again = new_dir(top.as_fd(), "d", Mode::RWXU).unwrap_err();
        assert_eq!(again, Errno::EXIST);
        std::fs::write(temp.path().join("f"), "").unwrap();
        let error = make_dir(top.as_fd(), "f", Mode::RWXU).unwrap_err();
        assert_eq!(format!("{error:#}"), "Opening directory f: Not a directory (os error 20)");
    }
}
