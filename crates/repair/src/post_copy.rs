// SPDX-License-Identifier: MIT OR Apache-2.0
//! After a root was copied file by file: fs-verity does not come along with a copy, and is enabled again where the repository
//! asks for it, on the objects and on the composefs images of the deployments.

use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, Result};
use fn_error_context::context;
use formats::object::ObjectType;
use prepare_root::facts::COMPOSEFS_IMAGE;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use sysroot::running::deployments_in;
use sysroot::{Lock, Sysroot};

/// The changes that were made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PostCopied {
    /// Whether the repository asks for fs-verity at all.
    pub wanted: bool,
    /// Files on which it was enabled now.
    pub enabled: u64,
    /// Files on which it was enabled already.
    pub were_enabled: u64,
    /// Files on which the file system cannot enable it.
    pub unsupported: u64,
}

/// Enables fs-verity again on what was copied.
#[context("Enabling fs-verity after a copy")]
pub fn post_copy(lock: &Lock<'_>) -> Result<PostCopied> {
    let sysroot = lock.sysroot();
    let mut done = PostCopied { wanted: wants_verity(sysroot), ..PostCopied::default() };
    if !done.wanted {
        return Ok(done);
    }
    sysroot.repo().each_object(|name, dir, file| match name.kind {
        ObjectType::File => enable(dir, file, &mut done),
        _ => Ok(()),
    })?;
    for path in deployments_in(sysroot.root())? {
        enable(sysroot.root(), &format!("{path}/{COMPOSEFS_IMAGE}"), &mut done)?;
    }
    durable::sync_fs(sysroot.root())?;
    Ok(done)
}

/// `[ex-integrity] fsverity` or `composefs`, where they are not `no`. (With `fsverity=yes` a repository is not opened at all.)
fn wants_verity(sysroot: &Sysroot) -> bool {
    let value = |key| sysroot.repo().config().raw("ex-integrity", key);
    ["fsverity", "composefs"]
        .into_iter()
        .any(|key| value(key).is_some_and(|value| matches!(value.trim(), "maybe" | "yes" | "true" | "1")))
}

/// Enables it on one file; what is not there or no regular file has nothing to enable.
fn enable(dir: BorrowedFd<'_>, path: &str, done: &mut PostCopied) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(dir, path, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("Opening {path}")),
    };
    if FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) != FileType::RegularFile {
        return Ok(());
    }
    match kernel::fsverity::enable(file.as_fd()) {
        Ok(()) => done.enabled += 1,
        Err(Errno::EXIST) => done.were_enabled += 1,
        Err(Errno::NOTTY | Errno::OPNOTSUPP | Errno::NOSYS) => done.unsupported += 1,
        Err(error) => return Err(error).with_context(|| format!("Enabling fs-verity on {path}")),
    }
    Ok(())
}
