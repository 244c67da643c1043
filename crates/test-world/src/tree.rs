// SPDX-License-Identifier: MIT OR Apache-2.0
//! Trees of files: those that can be deployed, and their removal.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// The directory of the kernel in a [bootable](make_bootable) tree.
pub const MODULES: &str = "usr/lib/modules/6.1.0";

/// Writes files below `top`, with the directories that they are in.
///
/// # Panics
///
/// One of them cannot be written.
pub fn write(top: &Path, files: &[(&str, &str)]) {
    for (path, content) in files {
        let path = top.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
}

/// Makes a tree that can be deployed.
///
/// # Panics
///
/// A file of it is there already and is something else, or cannot be written.
pub fn make_bootable(tree: &Path) {
    for dir in ["usr/bin", "usr/etc", MODULES, "var", "boot", "run", "proc", "sys", "dev", "sysroot"] {
        std::fs::create_dir_all(tree.join(dir)).unwrap();
    }
    write(
        tree,
        &[
            ("usr/lib/modules/6.1.0/vmlinuz", "kernel"),
            ("usr/lib/modules/6.1.0/initramfs.img", "initramfs"),
            ("usr/lib/os-release", "ID=testos\nPRETTY_NAME=\"Test OS\"\n"),
            ("usr/etc/conf", "default\n"),
            ("usr/bin/tool", "#!/bin/sh\n"),
        ],
    );
    symlink("sysroot/ostree", tree.join("ostree")).unwrap();
}

/// Clears the immutable flags below a directory: deployments would survive their temporary directory.
///
/// # Panics
///
/// There is no `chattr`.
pub fn make_removable(dir: &Path) {
    let done = Command::new("chattr").args(["-R", "-f", "-i"]).arg(dir).status();
    assert!(done.is_ok(), "chattr is needed to remove deployments");
}
