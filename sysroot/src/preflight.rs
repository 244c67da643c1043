// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is refused at deploy time so that it is not found out in the initramfs.

use std::os::fd::BorrowedFd;

use anyhow::{Context, Result, ensure};
use fn_error_context::context;
use prepare_root::calls::Calls;
use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;

/// Directories on which the boot mounts something; a deployment is immutable, so nothing can add them later.
pub(crate) const MOUNT_POINTS: [&str; 8] = ["sysroot", "usr", "etc", "var", "run", "proc", "sys", "dev"];

/// Checks a deployment that has its `/etc`, before anything refers to it.
#[context("Checking whether the tree can be booted")]
pub(crate) fn check(tree: BorrowedFd<'_>) -> Result<()> {
    for name in MOUNT_POINTS {
        let found = match rustix::fs::statat(tree, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Some(FileType::from_raw_mode(stat.st_mode)),
            Err(Errno::NOENT) => None,
            Err(error) => return Err(error).with_context(|| format!("Reading /{name}")),
        };
        ensure!(
            found == Some(FileType::Directory),
            "the tree has no directory /{name}: add it, the boot mounts on it"
        );
    }
    prepare_root::config::Config::load(tree)?.check_supported()?;
    Ok(())
}

/// Reads a file of the tree; links in it stay in it.
pub(crate) fn read_text(tree: BorrowedFd<'_>, path: &str) -> Result<Option<String>> {
    prepare_root::open::read_text(tree, path, &Calls::ALL)
        .with_context(|| format!("Reading /{path} of the tree"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::fd::AsFd;

    /// A bootable tree with these files in addition.
    fn check_tree(files: &[(&str, &str)]) -> Result<()> {
        let dir = tempfile::tempdir().unwrap();
        for name in MOUNT_POINTS {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        for (path, text) in files {
            fs::create_dir_all(dir.path().join(path).parent().unwrap()).unwrap();
            fs::write(dir.path().join(path), text).unwrap();
        }
        check(fs::File::open(dir.path()).unwrap().as_fd())
    }

    #[test]
    fn what_is_not_built_is_refused_by_name() {
        let conf = "usr/lib/ostree/prepare-root.conf";
        for (text, name) in [
            ("[composefs]\nenabled=yes\n", "composefs"),
            ("[composefs]\nenabled=signed\n", "signed"),
            ("[composefs]\nenabled=verity\n", "verity"),
            ("[root]\ntransient=true\n", "root.transient"),
            ("[etc]\ntransient=true\n", "etc.transient"),
        ] {
            let error = format!("{:#}", check_tree(&[(conf, text)]).unwrap_err());
            assert!(error.contains(name), "{error}");
        }
        for text in
            ["[composefs]\nenabled=no\n", "[composefs]\nenabled=maybe\n", "[sysroot]\nreadonly=true\n"]
        {
            check_tree(&[(conf, text)]).unwrap();
        }
    }

    #[test]
    fn a_missing_mount_point_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = check(fs::File::open(dir.path()).unwrap().as_fd()).unwrap_err();
        assert!(format!("{error:#}").contains("no directory /sysroot"), "{error:#}");
    }
}
