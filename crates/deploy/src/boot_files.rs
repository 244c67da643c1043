// SPDX-License-Identifier: MIT OR Apache-2.0
//! The boot files of a commit. Nothing checks them once they are in `/boot`, and a kernel that was damaged on the disk is
//! found out when it is too late, so they are read as objects before anything is written for them.

use anyhow::{Context, Result, anyhow};
use bootloader::{FileKind, KernelFiles};
use formats::Checksum;
use formats::object::{ObjectName, ObjectType};
use repo::{Entry, Repo};
use sysroot::commit_tree::CommitTree;
use sysroot::{Loaded, Sysroot};

/// Checks the boot files of a commit, and gives their boot checksum.
pub(super) fn check(
    sysroot: &Sysroot,
    loaded: &Loaded,
    tree: &CommitTree<'_>,
    files: &KernelFiles,
) -> Result<Checksum> {
    let repo = sysroot.repo();
    let objects = objects(tree, files)?;
    let known = loaded.deployments.iter().find(|old| {
        let Ok(old_tree) = CommitTree::open(repo, &old.path.checksum) else { return false };
        let same = sysroot.kernel_files(&old_tree).is_ok_and(|old_files| old_files == *files);
        same && self::objects(&old_tree, files).is_ok_and(|old_objects| old_objects == objects)
    });
    // Both are about all of a large initramfs, which is in memory for the second.
    std::thread::scope(|scope| {
        let checksum = scope.spawn(|| match known {
            Some(old) => Ok(old.boot_checksum),
            None => files.boot_checksum(tree),
        });
        check_objects(repo, files, &objects)?;
        let checksum = checksum.join().map_err(|_| anyhow!("Reading the boot files was given up"))?;
        Ok(checksum?)
    })
}

/// The objects of the files, in their order.
fn objects(tree: &CommitTree<'_>, files: &KernelFiles) -> Result<Vec<(FileKind, Checksum)>> {
    let object = |file: &bootloader::BootFile| match tree.find(&file.source)? {
        Some(Entry::File(checksum)) => Ok((file.kind, checksum)),
        _ => Err(anyhow!("There is no file /{} in the tree", file.source)),
    };
    files.files.iter().map(object).collect()
}

fn check_objects(repo: &Repo, files: &KernelFiles, objects: &[(FileKind, Checksum)]) -> Result<()> {
    for (file, (_, checksum)) in files.files.iter().zip(objects) {
        repo.check_object(ObjectName::new(*checksum, ObjectType::File))
            .with_context(|| format!("Checking /{} of the tree", file.source))?;
    }
    Ok(())
}
