// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is refused at deploy time so that it is not found out in the initramfs.

use std::os::fd::BorrowedFd;

use anyhow::{Context, Result, ensure};
use fn_error_context::context;
use formats::kernel_args::KernelArgs;
use prepare_root::calls::Calls;
use prepare_root::config::{COMPOSEFS_ARGUMENT, Config};
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
    Config::load(tree)?.check_supported()?;
    Ok(())
}

/// Checks kernel arguments that the program in the initramfs obeys.
#[context("Checking the kernel argument {COMPOSEFS_ARGUMENT}=")]
pub(crate) fn check_arguments(arguments: &KernelArgs) -> Result<()> {
    let mut config = Config::parse(&[])?;
    config.override_with(arguments)?;
    Ok(config.check_supported()?)
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
    fn arguments_that_the_boot_would_refuse_are_refused() {
        for (line, refused) in [
            ("root=x quiet", false),
            ("ostree.prepare-root.composefs=no", false),
            ("ostree.prepare-root.composefs=maybe", false),
            ("quiet ostree.prepare-root.composefs=yes", true),
            ("ostree.prepare-root.composefs=signed", true),
            ("ostree.prepare-root.composefs=verity rw", true),
            ("ostree.prepare-root.composefs=what", true),
        ] {
            let checked = check_arguments(&KernelArgs::parse(line)).map_err(|error| format!("{error:#}"));
            assert_eq!(checked.is_err(), refused, "{line}");
            if let Err(error) = checked {
                assert!(error.contains("composefs=") && !error.contains('\n'), "{error}");
            }
        }
    }

    #[test]
    fn a_missing_mount_point_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = check(fs::File::open(dir.path()).unwrap().as_fd()).unwrap_err();
        assert!(format!("{error:#}").contains("no directory /sysroot"), "{error:#}");
    }
}
