// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which deployment a kernel command line names.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use formats::bootlink::DeploymentPath;
use formats::kernel_args::KernelArgs;
use rustix::fs::{AtFlags, FileType};

use crate::walk::{Walk, WalkError};

/// Directories that a deployment must have before anything is mounted: `usr` and `etc` make the system, and
/// `sysroot` is where the physical root goes.
const REQUIRED: [&str; 3] = ["usr", "etc", "sysroot"];

/// The deployment to boot, held open.
#[derive(Debug)]
pub struct Target {
    /// The same as plain data.
    pub deployment: Deployment,
    /// Its directory (`O_PATH`).
    pub directory: OwnedFd,
    /// That it was not found where the command line says, and where it was.
    pub note: Option<String>,
}

/// Names of a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// The link of the command line, below the physical root.
    pub boot_link: String,
    /// Where the link leads, below the physical root.
    pub path: DeploymentPath,
    /// `st_dev` of the directory.
    pub device: u64,
    /// `st_ino` of the directory.
    pub inode: u64,
}

/// Why the command line leads to no deployment.
#[derive(Debug, PartialEq, Eq)]
pub enum TargetError {
    /// No `ostree=` argument, or one without a value.
    NoArgument,
    /// `androidboot.slot_suffix=` is neither `_a` nor `_b`.
    UnknownSlot(String),
    /// The path does not lead to a directory inside the physical root.
    Walk(String, WalkError),
    /// The path has no last component that could be a link.
    NotALink(String),
    /// The link leads to a directory that is not at `ostree/deploy/STATEROOT/deploy/CHECKSUM.SERIAL`.
    NotADeployment(String, PathBuf),
    /// The deployment lacks one of the directories that it must have.
    Incomplete(DeploymentPath, &'static str),
    /// The kernel does not tell what the deployment's directory is.
    Stat(DeploymentPath, rustix::io::Errno),
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoArgument => {
                f.write_str("no ostree= argument on the kernel command line; add it to the boot entry")
            }
            Self::UnknownSlot(slot) => write!(f, "androidboot.slot_suffix={slot}: must be _a or _b"),
            Self::Walk(link, error) => write!(f, "ostree={link}: {error}; boot another entry"),
            Self::NotALink(link) => write!(f, "ostree={link}: not a symbolic link; boot another entry"),
            Self::NotADeployment(link, path) => {
                let path = path.display();
                write!(f, "ostree={link}: leads to /{path}, which is no deployment; boot another entry")
            }
            Self::Incomplete(path, name) => {
                write!(f, "deployment /{path} has no directory {name}; boot another entry and deploy again")
            }
            Self::Stat(path, errno) => write!(f, "deployment /{path}: {errno}"),
        }
    }
}

impl std::error::Error for TargetError {}

/// The link that the command line names: `ostree=`, or the slot of an Android boot loader, which wins.
///
/// # Errors
///
/// [`TargetError::NoArgument`] and [`TargetError::UnknownSlot`].
pub fn boot_link(arguments: &KernelArgs) -> Result<&str, TargetError> {
    match arguments.first("androidboot.slot_suffix") {
        Some(Some("_a")) => return Ok("/ostree/root.a"),
        Some(Some("_b")) => return Ok("/ostree/root.b"),
        Some(slot) => return Err(TargetError::UnknownSlot(slot.unwrap_or_default().to_owned())),
        None => {}
    }
    // An Android boot loader without slots says other things of itself.
    if arguments.keys().any(|key| key.starts_with("androidboot.")) {
        return Ok("/ostree/root.a");
    }
    arguments.first("ostree").flatten().filter(|link| !link.is_empty()).ok_or(TargetError::NoArgument)
}

/// Finds the deployment that the command line names, below `sysroot` and nowhere else.
///
/// # Errors
///
/// Says what of the way from the argument to the deployment is wrong.
pub fn resolve(sysroot: BorrowedFd<'_>, arguments: &KernelArgs) -> Result<Target, TargetError> {
    resolve_link(sysroot, boot_link(arguments)?)
}

/// Finds the deployment behind one boot link.
///
/// # Errors
///
/// As [`resolve`].
pub fn resolve_link(sysroot: BorrowedFd<'_>, link: &str) -> Result<Target, TargetError> {
    let wrong = |error| TargetError::Walk(link.to_owned(), error);
    let (Some(parent), Some(name)) = (Path::new(link).parent(), Path::new(link).file_name()) else {
        return Err(TargetError::NotALink(link.to_owned()));
    };
    let mut walk = Walk::new(sysroot);
    walk.enter(parent).and_then(|()| walk.enter_link(name)).map_err(wrong)?;
    let path = walk.path();
    let no_deployment = || TargetError::NotADeployment(link.to_owned(), path.clone());
    let deployment: DeploymentPath = path.to_str().and_then(|p| p.parse().ok()).ok_or_else(no_deployment)?;
    let directory = walk.into_directory().ok_or_else(no_deployment)?;
    open_deployment(directory, deployment, link)
}

/// Checks that a directory can be booted.
///
/// # Errors
///
/// [`TargetError::Incomplete`] and [`TargetError::Stat`].
pub(crate) fn open_deployment(
    directory: OwnedFd,
    path: DeploymentPath,
    boot_link: &str,
) -> Result<Target, TargetError> {
    for name in REQUIRED {
        if !has_directory(directory.as_fd(), name) {
            return Err(TargetError::Incomplete(path, name));
        }
    }
    let stat = rustix::fs::fstat(&directory).map_err(|errno| TargetError::Stat(path.clone(), errno))?;
    let deployment =
        Deployment { boot_link: boot_link.to_owned(), path, device: stat.st_dev, inode: stat.st_ino };
    Ok(Target { deployment, directory, note: None })
}

/// Whether `name` is a directory, and no link to one.
pub(crate) fn has_directory(parent: BorrowedFd<'_>, name: &str) -> bool {
    let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW);
    stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

#[cfg(test)]
mod tests;
