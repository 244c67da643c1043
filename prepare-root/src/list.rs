// SPDX-License-Identifier: MIT OR Apache-2.0
//! The deployments that could be booted and those that could not, for the rescue shell.

use std::fmt::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use formats::bootlink::DeploymentPath;
use formats::os_release::OsRelease;
use rustix::fs::{Dir, Mode, OFlags};
use rustix::io::Errno;

use crate::calls::Calls;
use crate::error::Error;
use crate::open::read_text;
use crate::resolve::{open_deployment, resolve_link};

/// Lists the boot links and the deployments below a physical root, a line each: `ok` or `no`, what it is, and
/// what it is called or why it cannot be booted.
///
/// # Errors
///
/// When there is no `/ostree` to look into.
pub fn list(sysroot: BorrowedFd<'_>) -> Result<String, Error> {
    if let Err(errno) = open_directory(sysroot, "ostree") {
        return Err(Error::List(PathBuf::from("/ostree"), errno));
    }
    let mut out = String::new();
    for link in boot_links(sysroot) {
        let line = match resolve_link(sysroot, &link) {
            Ok(target) => format!("ok ostree={link} -> /{}", target.deployment.path),
            Err(error) => format!("no {error}"),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{line}");
    }
    for path in deployments(sysroot) {
        let _ = writeln!(out, "{}", describe(sysroot, &path));
    }
    Ok(out)
}

/// `/ostree/boot.N/STATEROOT/CHECKSUM/SERIAL`, sorted.
fn boot_links(sysroot: BorrowedFd<'_>) -> Vec<String> {
    let mut links = Vec::new();
    for version in ["ostree/boot.0", "ostree/boot.1"] {
        for stateroot in names(sysroot, version) {
            let stateroot = format!("{version}/{stateroot}");
            for checksum in names(sysroot, &stateroot) {
                let checksum = format!("{stateroot}/{checksum}");
                links.extend(
                    names(sysroot, &checksum).into_iter().map(|serial| format!("/{checksum}/{serial}")),
                );
            }
        }
    }
    links
}

fn deployments(sysroot: BorrowedFd<'_>) -> Vec<DeploymentPath> {
    let mut found = Vec::new();
    for stateroot in names(sysroot, "ostree/deploy") {
        let children = names(sysroot, &format!("ostree/deploy/{stateroot}/deploy"));
        // `CHECKSUM.SERIAL.origin` and what else lies there is no deployment.
        found.extend(children.iter().filter_map(|name| DeploymentPath::from_name(&stateroot, name)));
    }
    found
}

fn describe(sysroot: BorrowedFd<'_>, path: &DeploymentPath) -> String {
    let opened = match open_directory(sysroot, &path.to_string()) {
        Ok(directory) => open_deployment(directory, path.clone(), ""),
        Err(errno) => return format!("no deployment /{path}: {errno}"),
    };
    match opened {
        Ok(target) => {
            let name =
                pretty_name(target.directory.as_fd()).map_or_else(String::new, |name| format!(" ({name})"));
            format!("ok deployment /{path}{name}")
        }
        Err(error) => format!("no {error}"),
    }
}

/// Reads the name that the system gives itself. Only for the eye: any failure is no name.
fn pretty_name(deployment: BorrowedFd<'_>) -> Option<String> {
    let text = read_text(deployment, "usr/lib/os-release", &Calls::ALL).ok()??;
    OsRelease::parse(&text).get("PRETTY_NAME").map(|name| name.chars().filter(|c| !c.is_control()).collect())
}

/// The names in a directory, sorted; none when it cannot be read.
pub(crate) fn names(root: BorrowedFd<'_>, path: &str) -> Vec<String> {
    let read = || -> Result<Vec<String>, Errno> {
        let mut names = Vec::new();
        for entry in Dir::read_from(open_directory(root, path)?)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if !matches!(&*name, "." | "..") {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    };
    read().unwrap_or_default()
}

pub(crate) fn open_directory(root: BorrowedFd<'_>, path: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(root, Path::new(path), flags, Mode::empty())
}
