// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a deployment is when the link that the boot entry names is not there: a boot loader has read an entry of another time than
//! the links are of (ostree#2283). A machine that starts what it can be sure of is better than one that waits for somebody.
//!
//! ```text
//! ostree=/ostree/boot.1/debian/4fd032…/0      is missing, or leads to what is gone
//! 1. boot.1.0, boot.1.1                       the same links, when only boot.1 is gone
//! 2. boot.0, boot.0.0, boot.0.1               the same stateroot, kernel and serial in the other set
//! 3. ostree/deploy/debian/deploy              the only deployment that has modules for the running kernel
//! ```
//!
//! For the boot alone: who makes or checks links takes [`resolve`](crate::resolve()), which finds nothing elsewhere.

use std::os::fd::BorrowedFd;

use formats::bootlink::{Bootlink, DeploymentPath};
use formats::kernel_args::KernelArgs;

use crate::list::{names, open_directory};
use crate::resolve::{Target, TargetError, boot_link, has_directory, open_deployment, resolve_link};
use crate::walk::WalkError;

/// Finds the deployment that the command line names, or the one that it must have meant; a [`note`](Target::note) says so then.
/// `kernel` is the release of the running kernel.
///
/// # Errors
///
/// As [`resolve`](crate::resolve()): what is wrong with the link itself.
pub fn find(sysroot: BorrowedFd<'_>, arguments: &KernelArgs, kernel: &str) -> Result<Target, TargetError> {
    let link = boot_link(arguments)?;
    let error = match resolve_link(sysroot, link) {
        Err(error @ TargetError::Walk(_, WalkError::Missing(_) | WalkError::Dangling { .. })) => error,
        resolved => return resolved,
    };
    let Ok(named) = link.parse::<Bootlink>() else { return Err(error) };
    let Some((mut target, why)) =
        in_other_links(sysroot, &named).or_else(|| by_kernel(sysroot, &named, kernel))
    else {
        return Err(error);
    };
    let path = &target.deployment.path;
    target.note =
        Some(format!("{error}: booting /{path}, {why}; then run `ostree admin fsck-boot --repair`"));
    link.clone_into(&mut target.deployment.boot_link);
    Ok(target)
}

/// The same name in the directories that links lead to, and in the other set.
fn in_other_links(sysroot: BorrowedFd<'_>, named: &Bootlink) -> Option<(Target, String)> {
    let (own, other) = (named.boot_version, 1 - named.boot_version.min(1));
    let sets = [
        format!("{own}.0"),
        format!("{own}.1"),
        other.to_string(),
        format!("{other}.0"),
        format!("{other}.1"),
    ];
    sets.into_iter().find_map(|set| {
        let Bootlink { stateroot, boot_checksum, boot_serial, .. } = named;
        let link = format!("/ostree/boot.{set}/{stateroot}/{boot_checksum}/{boot_serial}");
        let target = resolve_link(sysroot, &link).ok()?;
        (target.deployment.path.stateroot == *stateroot).then(|| (target, format!("to which {link} leads")))
    })
}

/// The deployment of the stateroot that the running kernel belongs to, if there is no second one.
fn by_kernel(sysroot: BorrowedFd<'_>, named: &Bootlink, kernel: &str) -> Option<(Target, String)> {
    let stateroot = format!("ostree/deploy/{}/deploy", named.stateroot);
    let mut found = None;
    for name in names(sysroot, &stateroot) {
        let Some(path) = DeploymentPath::from_name(&named.stateroot, &name) else { continue };
        let Ok(directory) = open_directory(sysroot, &path.to_string()) else { continue };
        let Ok(target) = open_deployment(directory, path, "") else { continue };
        let modules = format!("usr/lib/modules/{kernel}");
        if !has_directory(std::os::fd::AsFd::as_fd(&target.directory), &modules) {
            continue;
        }
        if found.is_some() {
            return None;
        }
        found = Some(target);
    }
    found.map(|target| (target, format!("the only deployment with modules for Linux {kernel}")))
}

#[cfg(test)]
mod tests;
