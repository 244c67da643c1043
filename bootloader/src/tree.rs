// SPDX-License-Identifier: MIT OR Apache-2.0
//! Trees that are looked at: a directory, or a commit that nobody has checked out yet.

use std::fs::File;
use std::io::Read;
use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::kernel_files::KernelError;

/// A tree whose boot files are looked for. Paths are relative to its top, and links on their way are followed.
pub trait ReadTree {
    /// The names in a directory; `None` where there is no directory. A name that is not UTF-8 cannot stand in a boot
    /// entry, and is left out.
    fn names(&self, path: &str) -> Result<Option<Vec<String>>, KernelError>;

    /// The size of a regular file (through links, as a kernel may be one); `None` for all else.
    fn size(&self, path: &str) -> Result<Option<u64>, KernelError>;

    /// Opens a file.
    fn open(&self, path: &str) -> Result<Box<dyn Read>, KernelError>;
}

impl ReadTree for BorrowedFd<'_> {
    fn names(&self, path: &str) -> Result<Option<Vec<String>>, KernelError> {
        let failed = |errno| KernelError::read(path, errno);
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let dir = match rustix::fs::openat(self, path, flags, Mode::empty()) {
            Ok(dir) => dir,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(errno) => return Err(failed(errno)),
        };
        let mut names = Vec::new();
        for entry in Dir::new(dir).map_err(failed)? {
            match entry.map_err(failed)?.file_name().to_str() {
                Ok("." | "..") | Err(_) => {}
                Ok(name) => names.push(name.to_owned()),
            }
        }
        Ok(Some(names))
    }

    fn size(&self, path: &str) -> Result<Option<u64>, KernelError> {
        match rustix::fs::statat(self, path, AtFlags::empty()) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
                Ok(Some(u64::try_from(stat.st_size).unwrap_or(0)))
            }
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(errno) => Err(KernelError::read(path, errno)),
        }
    }

    fn open(&self, path: &str) -> Result<Box<dyn Read>, KernelError> {
        let opened = rustix::fs::openat(self, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        Ok(Box::new(File::from(opened.map_err(|errno| KernelError::read(path, errno))?)))
    }
}

impl<T: ReadTree + ?Sized> ReadTree for &T {
    fn names(&self, path: &str) -> Result<Option<Vec<String>>, KernelError> {
        (**self).names(path)
    }

    fn size(&self, path: &str) -> Result<Option<u64>, KernelError> {
        (**self).size(path)
    }

    fn open(&self, path: &str) -> Result<Box<dyn Read>, KernelError> {
        (**self).open(path)
    }
}
