// SPDX-License-Identifier: MIT OR Apache-2.0
//! The boot files of a new tree. Nothing checks them once they are in `/boot`, and a kernel that was damaged on the disk is
//! found out when it is too late, so they are read as objects before an entry names them.

use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, Result, anyhow};
use bootloader::KernelFiles;
use formats::Checksum;
use formats::bootlink::DeploymentPath;
use formats::object::{ObjectName, ObjectType};
use repo::{Entry, Repo, RepoError};
use rustix::fs::AtFlags;

use crate::deployment::Deployment;
use crate::directory;
use crate::load::Loaded;
use crate::sysroot::Sysroot;

/// Checks the boot files of the new deployment at `path`, whose tree is open, and gives their boot checksum.
pub(super) fn check(
    sysroot: &Sysroot,
    loaded: &Loaded,
    path: &DeploymentPath,
    tree: BorrowedFd<'_>,
) -> Result<Checksum> {
    let files = KernelFiles::find(tree)?;
    let known = loaded.deployments.iter().find(|old| same_files(sysroot, old, tree, &files));
    // Both are about all of a large initramfs, which is in memory for the second.
    std::thread::scope(|scope| {
        let checksum = scope.spawn(|| match known {
            Some(old) => Ok(old.boot_checksum),
            None => files.boot_checksum(tree),
        });
        check_objects(sysroot.repo(), &path.checksum, &files)?;
        let checksum = checksum.join().map_err(|_| anyhow!("Reading the boot files was given up"))?;
        Ok(checksum?)
    })
}

/// Whether the boot files of a deployment are the same files, by hard links to the same objects.
fn same_files(sysroot: &Sysroot, old: &Deployment, tree: BorrowedFd<'_>, files: &KernelFiles) -> bool {
    let Ok(old_tree) = directory::open(sysroot.root(), &old.path.to_string()) else { return false };
    let Ok(old_files) = KernelFiles::find(old_tree.as_fd()) else { return false };
    let identity = |tree: BorrowedFd<'_>, path: &str| {
        let stat = rustix::fs::statat(tree, path, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some((stat.st_dev, stat.st_ino))
    };
    old_files == *files
        && files.files.iter().all(|file| {
            let there = identity(tree, &file.source);
            there.is_some() && there == identity(old_tree.as_fd(), &file.source)
        })
}

fn check_objects(repo: &Repo, commit: &Checksum, files: &KernelFiles) -> Result<()> {
    for file in &files.files {
        let step = || format!("Checking /{} of the tree", file.source);
        match repo.lookup(commit, &file.source) {
            Ok(Entry::File(checksum)) => {
                repo.check_object(ObjectName::new(checksum, ObjectType::File)).with_context(step)?;
            }
            // A link on the way, which a commit does not follow.
            Ok(Entry::Dir { .. }) => {}
            Err(error) if matches!(error.downcast_ref(), Some(RepoError::NoPath(_))) => {}
            Err(error) => return Err(error).with_context(step),
        }
    }
    Ok(())
}
