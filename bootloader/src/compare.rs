// SPDX-License-Identifier: MIT OR Apache-2.0
//! Boot files that lie in `/boot` before their entry does: left by a try that was cut off, by other tools, or of a deployment with the
//! same kernel. They have the right size; whether they have the right contents shows when they are read.
//!
//! That is done for a new deployment alone, and only of what it would use as it is: of a kernel and an initramfs of 100 MB together, each of
//! the two copies is read once. What the entries of now name is compared by `ostree admin fsck-boot`.

use std::fs::File;
use std::io::Read;
use std::os::fd::BorrowedFd;

use durable::Unread;
use formats::{Checksum, Hasher};
use rustix::fs::{Mode, OFlags};

use crate::entry::{BootEntry, NewInitrd};
use crate::names::OVERLAY_DIR;
use crate::tree::{KernelError, ReadTree};

impl BootEntry {
    /// Compares what is in `/boot` already with what this deployment has, and notes what is to be written anew.
    pub fn compare(&mut self, tree: impl ReadTree, boot: BorrowedFd<'_>) -> Result<(), KernelError> {
        let mut torn = Vec::new();
        for file in &self.files.files {
            let path = format!("{}/{}", self.boot_dir(), file.name);
            let Some(there) = open_of_size(boot, &path, file.size) else { continue };
            let inode = rustix::fs::fstat(&there).map(|stat| (stat.st_dev, stat.st_ino)).ok();
            if inode.is_some() && inode == tree.inode(&file.source) {
                continue;
            }
            let mut source = tree.open(&file.source)?;
            if !are_equal(there, &mut source).map_err(|errno| KernelError::read(&file.source, errno))? {
                torn.push(path);
            }
        }
        // Their names are checksums of their contents, and where they come from need not be there yet.
        for NewInitrd { checksum, size, .. } in &self.new_initrds {
            let path = format!("{OVERLAY_DIR}/{checksum}.img");
            let Some(there) = open_of_size(boot, &path, *size) else { continue };
            if !has_checksum(there, checksum) {
                torn.push(path);
            }
        }
        self.torn = torn;
        Ok(())
    }
}

/// Opens a file that will not be copied, for it is there and has the size, be it through a link; any other is not compared.
fn open_of_size(boot: BorrowedFd<'_>, path: &str, size: u64) -> Option<File> {
    let (path, _) = boot.file(path).ok()?.filter(|(_, there)| *there == size)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::openat(boot, path, flags, Mode::empty()).ok().map(File::from)
}

/// Compares a copy with its source, whose errors are returned. A copy that the disk cannot read is as good as a different one.
fn are_equal(copy: File, source: &mut dyn Read) -> Result<bool, rustix::io::Errno> {
    match durable::same_contents(source, copy) {
        Ok(same) => Ok(same),
        Err(Unread::First(error)) => {
            Err(rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO))
        }
        Err(Unread::Second(_)) => Ok(false),
    }
}

/// Whether the contents are those that the checksum was made of. What the disk cannot read has other ones.
fn has_checksum(mut file: File, checksum: &Checksum) -> bool {
    let mut hasher = Hasher::new();
    std::io::copy(&mut file, &mut hasher).is_ok() && hasher.finish() == *checksum
}
