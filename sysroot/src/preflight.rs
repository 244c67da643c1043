// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is refused at deploy time so that it is not found out in the initramfs.

use std::os::fd::BorrowedFd;

use anyhow::{Context, Result, bail, ensure};
use fn_error_context::context;
use prepare_root::calls::Calls;
use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;

/// Directories on which the boot mounts something; a deployment is immutable, so nothing can add them later.
pub(crate) const MOUNT_POINTS: [&str; 8] = ["sysroot", "usr", "etc", "var", "run", "proc", "sys", "dev"];

/// What to do about a tree with an enforcing SELinux policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Selinux {
    /// Refuse it: without labels on `/etc`, `/var` and `/boot` such a system does not boot.
    #[default]
    Refuse,
    /// Deploy it without labels.
    Ignore,
}

/// Checks a deployment that has its `/etc`, before anything refers to it.
#[context("Checking whether the tree can be booted")]
pub(crate) fn check(tree: BorrowedFd<'_>, selinux: Selinux) -> Result<()> {
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
    if selinux == Selinux::Refuse && enforcing(tree, "etc")? {
        bail!(
            "the tree has an enforcing SELinux policy (/etc/selinux/config), and this version sets no labels: \
             set SELINUX=permissive in the tree, or go on with --selinux=ignore"
        );
    }
    Ok(())
}

/// Whether `SELINUX=enforcing` is set and the policy that it names is there, in the directory that is or will be `/etc`.
pub(crate) fn enforcing(tree: BorrowedFd<'_>, etc: &str) -> Result<bool> {
    let Some(text) = read_text(tree, &format!("{etc}/selinux/config"))? else { return Ok(false) };
    let value = |key: &str| {
        let mut values = text.lines().rev().filter_map(|line| line.trim().split_once('='));
        values.find(|(k, _)| k.trim() == key).map(|(_, v)| v.trim().to_owned())
    };
    let policy = value("SELINUXTYPE").unwrap_or_else(|| "targeted".to_owned());
    let there = rustix::fs::statat(tree, format!("{etc}/selinux/{policy}"), AtFlags::empty()).is_ok();
    Ok(there && value("SELINUX").is_some_and(|mode| mode.eq_ignore_ascii_case("enforcing")))
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
    fn check_tree(files: &[(&str, &str)], selinux: Selinux) -> Result<()> {
        let dir = tempfile::tempdir().unwrap();
        for name in MOUNT_POINTS {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        for (path, text) in files {
            fs::create_dir_all(dir.path().join(path).parent().unwrap()).unwrap();
            fs::write(dir.path().join(path), text).unwrap();
        }
        check(fs::File::open(dir.path()).unwrap().as_fd(), selinux)
    }

    #[test]
    fn selinux_is_refused_until_labels_exist() {
        let policy = ("etc/selinux/targeted/policy/policy.33", "");
        let enforcing = ("etc/selinux/config", "# c\nSELINUX=enforcing\nSELINUXTYPE=targeted\n");
        let permissive = ("etc/selinux/config", "SELINUX=permissive\nSELINUXTYPE=targeted\n");
        check_tree(&[], Selinux::Refuse).unwrap();
        check_tree(&[enforcing], Selinux::Refuse).unwrap();
        check_tree(&[policy, permissive], Selinux::Refuse).unwrap();
        check_tree(&[policy, enforcing], Selinux::Ignore).unwrap();
        let error = format!("{:#}", check_tree(&[policy, enforcing], Selinux::Refuse).unwrap_err());
        assert!(error.contains("--selinux=ignore"), "{error}");
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
            let error = format!("{:#}", check_tree(&[(conf, text)], Selinux::Refuse).unwrap_err());
            assert!(error.contains(name), "{error}");
        }
        for text in
            ["[composefs]\nenabled=no\n", "[composefs]\nenabled=maybe\n", "[sysroot]\nreadonly=true\n"]
        {
            check_tree(&[(conf, text)], Selinux::Refuse).unwrap();
        }
    }

    #[test]
    fn a_missing_mount_point_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = check(fs::File::open(dir.path()).unwrap().as_fd(), Selinux::Refuse).unwrap_err();
        assert!(format!("{error:#}").contains("no directory /sysroot"), "{error:#}");
    }
}
