// SPDX-License-Identifier: MIT OR Apache-2.0
//! The running system: its deployment, its boot link and its kernel arguments, as the kernel and `/run` tell them.

use std::os::fd::BorrowedFd;

use anyhow::{Context, Result};
use formats::bootlink::{Bootlink, DeploymentPath};
use formats::kernel_args::KernelArgs;
use formats::run_state::RunState;
use rustix::fs::AtFlags;
use rustix::io::Errno;

use crate::directory;

/// Where the running system says that it was booted through ostree, and from which deployment.
const RUN_STATE: &str = "/run/ostree-booted";

/// The kernel command line of the running system.
const COMMAND_LINE: &str = "/proc/cmdline";

/// Keys that a boot loader adds to the running kernel's arguments.
const LOADERS_OWN: [&str; 2] = ["BOOT_IMAGE", "initrd"];

/// Device and inode of a deployment's directory.
pub type Identity = (u64, u64);

/// Reads device and inode of a deployment's directory; `None` where there is none.
///
/// # Errors
///
/// The directory cannot be looked at.
pub fn identity(root: BorrowedFd<'_>, path: &DeploymentPath) -> Result<Option<Identity>> {
    match rustix::fs::statat(root, path.to_string(), AtFlags::empty()) {
        Ok(stat) => Ok(Some((stat.st_dev, stat.st_ino))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("Reading {path}")),
    }
}

/// Finds the deployment in this physical root that the running system was booted from, be it in the menu or not.
///
/// This alone makes a root that of the running system: an image below it lies on the same device, and a container may be at
/// the same path.
///
/// # Errors
///
/// The run state or a deployment cannot be read.
pub fn running_here(root: BorrowedFd<'_>) -> Result<Option<DeploymentPath>> {
    let Some(running) = running_deployment()? else { return Ok(None) };
    for path in deployments_in(root)? {
        if identity(root, &path)? == Some(running) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Lists every deployment directory of a physical root, named by an entry or not, sorted.
///
/// Also a backing directory or an origin without a tree counts, which releases that know no backing directories leave.
///
/// # Errors
///
/// A directory of a stateroot cannot be read.
pub fn deployments_in(root: BorrowedFd<'_>) -> Result<Vec<DeploymentPath>> {
    let mut found = Vec::new();
    for stateroot in directory::names_in(root, "ostree/deploy")? {
        for folder in ["deploy", "backing"] {
            for name in directory::names_in(root, &format!("ostree/deploy/{stateroot}/{folder}"))? {
                let name = name.strip_suffix(".origin").unwrap_or(&name);
                found.extend(DeploymentPath::from_name(&stateroot, name));
            }
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// Reads device and inode of the directory that the running system was booted from.
///
/// # Errors
///
/// `/run/ostree-booted` is there and cannot be read.
pub fn running_deployment() -> Result<Option<Identity>> {
    let bytes = match std::fs::read(RUN_STATE) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("Reading {RUN_STATE}")),
    };
    let state = RunState::parse(&bytes).with_context(|| format!("Reading {RUN_STATE}"))?;
    match state.backing_root {
        Some(identity) => Ok(Some(identity)),
        // Only a marker, by an initramfs program that knows no more: then the deployment is the root itself.
        None => {
            let root = rustix::fs::stat("/").context("Reading /")?;
            Ok(Some((root.st_dev, root.st_ino)))
        }
    }
}

/// Reads the `ostree=` that the running system was started with.
pub fn running_bootlink() -> Option<Bootlink> {
    running_argument("ostree")?.parse().ok()
}

/// Reads the `boot=` of the running system, which names the device of `/boot`.
pub(crate) fn running_boot() -> Option<String> {
    running_argument("boot")
}

fn running_argument(name: &str) -> Option<String> {
    let line = std::fs::read_to_string(COMMAND_LINE).ok()?;
    KernelArgs::parse(&line).first(name)?.map(str::to_owned)
}

/// Reads the arguments of the running kernel, less those that its boot loader added.
///
/// # Errors
///
/// `/proc/cmdline` cannot be read.
pub fn running_arguments() -> Result<KernelArgs> {
    let line = std::fs::read_to_string(COMMAND_LINE).with_context(|| format!("Reading {COMMAND_LINE}"))?;
    Ok(without_loaders_own(&line))
}

fn without_loaders_own(line: &str) -> KernelArgs {
    let mut args = KernelArgs::parse(line);
    for key in LOADERS_OWN {
        args.remove_key(key);
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_loader_added_is_not_inherited() {
        assert_eq!(
            without_loaders_own("BOOT_IMAGE=/v initrd=/i quiet \"a=b c\"\n").to_string(),
            "quiet \"a=b c\""
        );
    }
}
