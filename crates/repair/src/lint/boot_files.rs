// SPDX-License-Identifier: MIT OR Apache-2.0
//! Links among the boot files of a tree: what they lead to is copied to `/boot`, if it is there.

use std::os::fd::BorrowedFd;

use anyhow::Result;
use bootloader::ReadTree;
use rustix::fs::FileType;
use sysroot::directory;

use super::finding::Findings;
use super::tree::{kind, link, open_dir};

/// The files beside a kernel that go to `/boot`.
const NAMES: [&str; 6] =
    ["vmlinuz", "initramfs.img", "initramfs", "devicetree", ".vmlinuz.hmac", "aboot.img"];

/// Directories that are looked into; more are a loop, which finding the kernel has told of already.
const MAX_DIRECTORIES: usize = 1000;

/// Says of every link among the files of a kernel what becomes of it.
pub(super) fn check_links(tree: BorrowedFd<'_>, found: &mut Findings) -> Result<()> {
    let Some(modules) = open_dir(tree, "usr/lib/modules")? else { return Ok(()) };
    for version in directory::names(&modules)? {
        let at = format!("usr/lib/modules/{version}");
        for name in NAMES {
            check_link(tree, &format!("{at}/{name}"), found)?;
        }
        let mut todo = vec![format!("{at}/dtb")];
        let mut count = 0;
        while let Some(dir) = todo.pop().filter(|_| count < MAX_DIRECTORIES) {
            count += 1;
            check_link(tree, &dir, found)?;
            // Of a directory behind a link the link is told of.
            let Some(opened) = open_dir(tree, &dir)? else { continue };
            for name in directory::names(&opened)? {
                let path = format!("{dir}/{name}");
                match kind(tree, &path) {
                    Some(FileType::Directory) => todo.push(path),
                    _ => check_link(tree, &path, found)?,
                }
            }
        }
    }
    Ok(())
}

fn check_link(tree: BorrowedFd<'_>, path: &str, found: &mut Findings) -> Result<()> {
    let Some(target) = link(tree, path) else { return Ok(()) };
    let at = format!("/{path}");
    match tree.file(path)? {
        Some((file, _)) => found.warning(
            &at,
            format!(
                "is a link to {target}: what /{file} says is copied to /boot, and the C tools copy the link"
            ),
            "put the file itself there, if the C tools have to deploy the tree as well",
        ),
        None if tree.names(path)?.is_some() => found.warning(
            &at,
            format!("is a link to the directory {target}: the files in it are copied to /boot"),
            "put the directory itself there, if the C tools have to deploy the tree as well",
        ),
        None => found.error(
            &at,
            format!("is a link to {target}, and that is not in the tree: it is left out"),
            "make it lead to a file of the tree, or remove it",
        ),
    }
    Ok(())
}
