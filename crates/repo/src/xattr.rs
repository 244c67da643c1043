// SPDX-License-Identifier: MIT OR Apache-2.0
//! Extended attributes of files, read and written through descriptors.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd};

use anyhow::{Context as _, Result};
use formats::object::Xattrs;
use rustix::fs::{
    XattrFlags, fgetxattr, flistxattr, fremovexattr, fsetxattr, lgetxattr, llistxattr, lsetxattr,
};
use rustix::io::Errno;

/// Linux bounds the list of names and each value: `XATTR_LIST_MAX`, `XATTR_SIZE_MAX` in `linux/limits.h`.
const MAX: usize = 65_536;

/// Where attributes are read from.
trait Source {
    fn list(&self, buffer: &mut [u8]) -> Result<usize, Errno>;
    fn get(&self, name: &CStr, buffer: &mut [u8]) -> Result<usize, Errno>;
}

struct Open<Fd>(Fd);

impl<Fd: AsFd> Source for Open<Fd> {
    fn list(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        flistxattr(&self.0, buffer)
    }

    fn get(&self, name: &CStr, buffer: &mut [u8]) -> Result<usize, Errno> {
        fgetxattr(&self.0, name, buffer)
    }
}

/// A file that cannot be opened for reading, such as a symbolic link: there is no call that takes directory
/// and name, so the directory is named through `/proc`.
struct Named(String);

impl Source for Named {
    fn list(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        llistxattr(self.0.as_str(), buffer)
    }

    fn get(&self, name: &CStr, buffer: &mut [u8]) -> Result<usize, Errno> {
        lgetxattr(self.0.as_str(), name, buffer)
    }
}

/// A reader with its buffers, for many files.
#[derive(Debug)]
pub(crate) struct Reader {
    names: Vec<u8>,
    value: Vec<u8>,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self { names: vec![0; MAX], value: vec![0; MAX] }
    }

    /// All attributes of an open file or directory; none where the file system has none.
    pub(crate) fn of_fd(&mut self, fd: impl AsFd) -> Result<Xattrs> {
        self.read(&Open(fd)).context("Reading extended attributes")
    }

    /// All attributes of `name` in `dir`, not following a link.
    pub(crate) fn of_name(&mut self, dir: impl AsFd, name: &str) -> Result<Xattrs> {
        self.read(&Named(proc_path(dir, name)))
            .with_context(|| format!("Reading extended attributes of {name}"))
    }

    /// All attributes of a path, not following a link.
    pub(crate) fn of_path(&mut self, path: &str) -> Result<Xattrs> {
        self.read(&Named(path.to_owned())).with_context(|| format!("Reading extended attributes of {path}"))
    }

    fn read(&mut self, source: &impl Source) -> Result<Xattrs> {
        let len = match source.list(&mut self.names) {
            Ok(0) | Err(Errno::OPNOTSUPP) => return Ok(Xattrs::empty()),
            len => len?,
        };
        let mut found = Vec::new();
        for name in self.names.get(..len).unwrap_or_default().split_inclusive(|&b| b == 0) {
            let name = CStr::from_bytes_with_nul(name)?;
            match source.get(name, &mut self.value) {
                // The C tools leave out attributes without a value, so names of objects know none.
                Ok(0) => {}
                Ok(len) => {
                    found
                        .push((name.to_bytes().to_vec(), self.value.get(..len).unwrap_or_default().to_vec()));
                }
                // Removed since it was listed.
                Err(Errno::NODATA) => {}
                Err(error) => return Err(error).with_context(|| format!("{}", name.to_string_lossy())),
            }
        }
        Ok(Xattrs::new(found.iter().map(|(name, value)| (&name[..], &value[..])).collect()))
    }
}

fn proc_path(dir: impl AsFd, name: &str) -> String {
    format!("/proc/self/fd/{}/{name}", dir.as_fd().as_raw_fd())
}

/// Sets attributes of an open file.
pub(crate) fn set_fd(fd: impl AsFd, xattrs: &Xattrs) -> Result<()> {
    for (name, value) in xattrs.iter() {
        fsetxattr(&fd, name, value, XattrFlags::empty())
            .with_context(|| format!("Setting extended attribute {}", String::from_utf8_lossy(name)))?;
    }
    Ok(())
}

/// Makes the attributes of an open file, which are `found`, those of `wanted`.
pub(crate) fn replace_fd(fd: impl AsFd, found: &Xattrs, wanted: &Xattrs) -> Result<()> {
    for (name, _) in found.iter().filter(|(name, _)| wanted.iter().all(|(other, _)| other != *name)) {
        fremovexattr(&fd, name)
            .with_context(|| format!("Removing extended attribute {}", String::from_utf8_lossy(name)))?;
    }
    set_fd(fd, wanted)
}

/// Sets attributes of a symbolic link.
pub(crate) fn set_name(dir: impl AsFd, name: &str, xattrs: &Xattrs) -> Result<()> {
    let path = proc_path(dir, name);
    for (attr, value) in xattrs.iter() {
        lsetxattr(path.as_str(), attr, value, XattrFlags::empty()).with_context(|| {
            format!("Setting extended attribute {} of {name}", String::from_utf8_lossy(attr))
        })?;
    }
    Ok(())
}

/// One attribute of an open file, if it has it.
pub(crate) fn get(fd: impl AsFd, name: &str) -> Result<Option<Vec<u8>>> {
    // Metadata without attributes of its own, which nearly all is, is 12 bytes.
    let mut value = vec![0; 512];
    loop {
        match fgetxattr(&fd, name, &mut value[..]) {
            Ok(len) => {
                value.truncate(len);
                return Ok(Some(value));
            }
            Err(Errno::NODATA) => return Ok(None),
            Err(Errno::RANGE) if value.len() < MAX => value.resize(MAX, 0),
            Err(error) => return Err(error).with_context(|| format!("Reading extended attribute {name}")),
        }
    }
}
