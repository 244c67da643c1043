// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files, whole or not at all.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Result};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::directory::sync_dir;
use crate::fault::{self, Mutant};
use crate::temporary::make_temporary;

/// Writes a file that is not there yet.
///
/// Order: contents into a file without a name, `fsync` of it, then the name, then `fsync` of `dir`. A power cut
/// leaves the whole file or none. A file that is there is an error (`EEXIST`) and stays as it is.
pub fn write_new(dir: BorrowedFd<'_>, name: &str, contents: &[u8], mode: Mode) -> Result<()> {
    let write = || {
        let mut draft = Draft::new(dir, name, mode)?;
        write_all(draft.file.as_fd(), contents)?;
        draft.publish_new()
    };
    write().with_context(|| format!("Writing {name}"))
}

/// Writes a file, over the one that is there.
///
/// Order: contents into a temporary file, `fsync` of it, rename over `name`, `fsync` of `dir`. A power cut leaves
/// the old or the new file, never a mixture.
pub fn replace(dir: BorrowedFd<'_>, name: &str, contents: &[u8], mode: Mode) -> Result<()> {
    let write = || {
        let mut draft = Draft::new(dir, name, mode)?;
        write_all(draft.file.as_fd(), contents)?;
        draft.publish_over()
    };
    write().with_context(|| format!("Replacing {name}"))
}

/// As [`replace`], with the temporary name in the directory `home` of the same file system: that of a program that sweeps it, where
/// `dir` has too many names to look for left-overs among them.
pub fn replace_from(
    home: BorrowedFd<'_>,
    dir: BorrowedFd<'_>,
    name: &str,
    contents: &[u8],
    mode: Mode,
) -> Result<()> {
    let write = || {
        let mut draft = Draft::new(home, name, mode)?;
        draft.dir = dir;
        write_all(draft.file.as_fd(), contents)?;
        draft.publish_over()
    };
    write().with_context(|| format!("Replacing {name}"))
}

/// A file that is being written and that nobody sees under its name yet. Dropped before it is published, it
/// leaves nothing behind.
pub(crate) struct Draft<'a> {
    /// Where the temporary name is.
    home: BorrowedFd<'a>,
    dir: BorrowedFd<'a>,
    name: &'a str,
    /// Where the contents go.
    pub(crate) file: OwnedFd,
    /// The temporary name, while there is one.
    temporary: Option<String>,
}

impl<'a> Draft<'a> {
    /// Opens a file without a name in `dir`, or where the file system cannot (`EOPNOTSUPP`; `EISDIR` before
    /// Linux 3.11) one with a temporary name.
    pub(crate) fn new(dir: BorrowedFd<'a>, name: &'a str, mode: Mode) -> Result<Self> {
        let write = OFlags::WRONLY | OFlags::CLOEXEC;
        let (file, temporary) = match rustix::fs::openat(dir, ".", write | OFlags::TMPFILE, mode) {
            Ok(file) => (file, None),
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {
                let flags = write | OFlags::CREATE | OFlags::EXCL;
                let (temporary, file) =
                    make_temporary(|temporary| rustix::fs::openat(dir, temporary, flags, mode))?;
                (file, Some(temporary))
            }
            Err(err) => return Err(err.into()),
        };
        // The umask is for what a person makes; boot files must be readable whatever it is.
        rustix::fs::fchmod(&file, mode)?;
        Ok(Self { home: dir, dir, name, file, temporary })
    }

    /// Gives the file its name, which must be free.
    pub(crate) fn publish_new(&mut self) -> Result<()> {
        self.sync()?;
        match self.temporary.take() {
            None => link_by_descriptor(self.file.as_fd(), self.dir, self.name)?,
            Some(temporary) => rename_to_free(self.dir, &temporary, self.name)?,
        }
        sync_dir(self.dir)
    }

    /// Gives the file its name, over whatever has it.
    pub(crate) fn publish_over(&mut self) -> Result<()> {
        if !(Mutant::RecordUnsynced.is_on() && self.name == "staged-deployment") {
            self.sync()?;
        }
        let temporary = match self.temporary.take() {
            Some(temporary) => temporary,
            None if Mutant::TemporaryByName.is_on() => {
                self.home = self.dir;
                let temporary = format!("{}.tmp", self.name);
                let _ = rustix::fs::unlinkat(self.home, &temporary, AtFlags::empty());
                link_by_descriptor(self.file.as_fd(), self.home, &temporary)?;
                temporary
            }
            None => {
                let link = |temporary: &str| link_by_descriptor(self.file.as_fd(), self.home, temporary);
                make_temporary(link)?.0
            }
        };
        if let Err(err) = rustix::fs::renameat(self.home, &temporary, self.dir, self.name) {
            let _ = rustix::fs::unlinkat(self.home, &temporary, AtFlags::empty());
            return Err(err.into());
        }
        sync_dir(self.dir)
    }

    /// Contents before name: a name on the disk without its contents is an empty file after a power cut.
    fn sync(&self) -> Result<()> {
        fault::point("file-sync");
        if !Mutant::NoFileSync.is_on() {
            rustix::fs::fsync(&self.file)?;
        }
        Ok(())
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            let _ = rustix::fs::unlinkat(self.home, temporary, AtFlags::empty());
        }
    }
}

/// Writes all of `contents`; interrupted and short writes are continued.
pub(crate) fn write_all(file: BorrowedFd<'_>, mut contents: &[u8]) -> Result<()> {
    while !contents.is_empty() {
        match rustix::io::write(file, contents) {
            Ok(0) => return Err(Errno::IO.into()),
            Ok(written) => contents = contents.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(_) if Mutant::WriteErrorsIgnored.is_on() => break,
            Err(err) => return Err(err.into()),
        }
    }
    Ok(())
}

/// Removes what a former try has left under a temporary name.
pub(crate) fn remove_stale(dir: BorrowedFd<'_>, temporary: &str) -> Result<()> {
    match rustix::fs::unlinkat(dir, temporary, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(err) => Err(err).with_context(|| format!("Removing {temporary}")),
    }
}

/// Names a file that was opened with `O_TMPFILE`. By descriptor this needs `CAP_DAC_READ_SEARCH`, by its name
/// below `/proc` only `/proc`.
fn link_by_descriptor(file: BorrowedFd<'_>, dir: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
    match rustix::fs::linkat(file, "", dir, name, AtFlags::EMPTY_PATH) {
        Err(Errno::NOENT | Errno::PERM) => {
            let path = format!("/proc/self/fd/{}", file.as_raw_fd());
            rustix::fs::linkat(CWD, path, dir, name, AtFlags::SYMLINK_FOLLOW)
        }
        other => other,
    }
}

/// Renames to a name that must be free; else nothing is left of the file. FAT has no other way, as it has no hard links; NFS
/// has these alone.
fn rename_to_free(dir: BorrowedFd<'_>, temporary: &str, name: &str) -> Result<()> {
    match rustix::fs::renameat_with(dir, temporary, dir, name, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::INVAL | Errno::NOSYS) => {
            let linked = rustix::fs::linkat(dir, temporary, dir, name, AtFlags::empty());
            rustix::fs::unlinkat(dir, temporary, AtFlags::empty())?;
            Ok(linked?)
        }
        Err(err) => {
            let _ = rustix::fs::unlinkat(dir, temporary, AtFlags::empty());
            Err(err.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn new_files_are_whole_and_never_overwrite() {
        let temp = tempfile::tempdir().unwrap();
        let dir = std::fs::File::open(temp.path()).unwrap();
        let mode = Mode::from_raw_mode(0o644);
        write_new(dir.as_fd(), "a", b"one", mode).unwrap();
        let err = write_new(dir.as_fd(), "a", b"two", mode).unwrap_err();
        assert_eq!(format!("{err:#}"), "Writing a: File exists (os error 17)");
        assert_eq!(std::fs::read(temp.path().join("a")).unwrap(), b"one");
        replace(dir.as_fd(), "a", b"three", mode).unwrap();
        assert_eq!(std::fs::read(temp.path().join("a")).unwrap(), b"three");
        assert_eq!(std::fs::metadata(temp.path().join("a")).unwrap().permissions().mode() & 0o7777, 0o644);
        assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_temporary_name_becomes_one_that_is_free_and_no_other() {
        let temp = tempfile::tempdir().unwrap();
        let dir = std::fs::File::open(temp.path()).unwrap();
        let put = |contents: &str| {
            std::fs::write(temp.path().join("a.tmp"), contents).unwrap();
            rename_to_free(dir.as_fd(), "a.tmp", "a")
        };
        put("one").unwrap();
        let err = put("two").unwrap_err();
        assert_eq!(format!("{err:#}"), "File exists (os error 17)");
        assert_eq!(std::fs::read(temp.path().join("a")).unwrap(), b"one");
        assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1, "nothing is left of the other");
    }

    /// A name that is made from the target's may be somebody's.
    #[test]
    fn a_file_of_somebody_with_a_name_like_it_stays() {
        let temp = tempfile::tempdir().unwrap();
        let dir = std::fs::File::open(temp.path()).unwrap();
        std::fs::write(temp.path().join("a.tmp"), "somebody's").unwrap();
        std::fs::create_dir_all(temp.path().join("b.tmp/x")).unwrap();
        for name in ["a", "b"] {
            replace(dir.as_fd(), name, b"whole", Mode::from_raw_mode(0o600)).unwrap();
            assert_eq!(std::fs::read(temp.path().join(name)).unwrap(), b"whole");
        }
        assert_eq!(std::fs::read(temp.path().join("a.tmp")).unwrap(), b"somebody's");
        assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 4);
    }

    #[test]
    fn a_temporary_name_may_be_elsewhere() {
        let temp = tempfile::tempdir().unwrap();
        for name in ["home", "place"] {
            std::fs::create_dir(temp.path().join(name)).unwrap();
        }
        let open = |name: &str| std::fs::File::open(temp.path().join(name)).unwrap();
        let (home, place, mode) = (open("home"), open("place"), Mode::from_raw_mode(0o600));
        replace_from(home.as_fd(), place.as_fd(), "a", b"one", mode).unwrap();
        replace_from(home.as_fd(), place.as_fd(), "a", b"two", mode).unwrap();
        assert_eq!(std::fs::read(temp.path().join("place/a")).unwrap(), b"two");
        std::fs::create_dir(temp.path().join("place/b")).unwrap();
        replace_from(home.as_fd(), place.as_fd(), "b", b"three", mode).unwrap_err();
        assert_eq!(std::fs::read_dir(temp.path().join("home")).unwrap().count(), 0);
    }

    #[test]
    fn a_failure_leaves_no_temporary_name() {
        let temp = tempfile::tempdir().unwrap();
        let dir = std::fs::File::open(temp.path()).unwrap();
        std::fs::create_dir_all(temp.path().join("a/x")).unwrap();
        replace(dir.as_fd(), "a", b"whole", Mode::from_raw_mode(0o600)).unwrap_err();
        assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1);
    }
}
