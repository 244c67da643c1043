// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files, whole or not at all.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Result};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::directory::sync_dir;
use crate::fault::{self, Mutant};

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

/// A file that is being written and that nobody sees under its name yet. Dropped before it is published, it
/// leaves nothing behind.
pub(crate) struct Draft<'a> {
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
                let temporary = temporary_name(name);
                remove_stale(dir, &temporary)?;
                let file = rustix::fs::openat(dir, &temporary, write | OFlags::CREATE | OFlags::EXCL, mode)?;
                (file, Some(temporary))
            }
            Err(err) => return Err(err.into()),
        };
        // The umask is for what a person makes; boot files must be readable whatever it is.
        rustix::fs::fchmod(&file, mode)?;
        Ok(Self { dir, name, file, temporary })
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
            None => {
                let temporary = temporary_name(self.name);
                remove_stale(self.dir, &temporary)?;
                link_by_descriptor(self.file.as_fd(), self.dir, &temporary)?;
                temporary
            }
        };
        if let Err(err) = rustix::fs::renameat(self.dir, &temporary, self.dir, self.name) {
            let _ = rustix::fs::unlinkat(self.dir, &temporary, AtFlags::empty());
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
            let _ = rustix::fs::unlinkat(self.dir, temporary, AtFlags::empty());
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

/// The name that a file or link has until it gets its own. The same one every time, so that what a power cut
/// leaves behind is overwritten by the next try.
pub(crate) fn temporary_name(name: &str) -> String {
    format!("{name}.tmp")
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
fn link_by_descriptor(file: BorrowedFd<'_>, dir: BorrowedFd<'_>, name: &str) -> Result<()> {
    match rustix::fs::linkat(file, "", dir, name, AtFlags::EMPTY_PATH) {
        Err(Errno::NOENT | Errno::PERM) => {
            let path = format!("/proc/self/fd/{}", file.as_raw_fd());
            Ok(rustix::fs::linkat(CWD, path, dir, name, AtFlags::SYMLINK_FOLLOW)?)
        }
        other => Ok(other?),
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

    #[test]
    fn a_left_over_temporary_file_is_in_nobodys_way() {
        let temp = tempfile::tempdir().unwrap();
        let dir = std::fs::File::open(temp.path()).unwrap();
        std::fs::write(temp.path().join("a.tmp"), "half of it").unwrap();
        replace(dir.as_fd(), "a", b"whole", Mode::from_raw_mode(0o600)).unwrap();
        assert_eq!(std::fs::read(temp.path().join("a")).unwrap(), b"whole");
        assert!(!temp.path().join("a.tmp").exists());
    }
}
