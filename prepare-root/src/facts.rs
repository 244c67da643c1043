// SPDX-License-Identifier: MIT OR Apache-2.0
//! The facts about what there is to mount, gathered once, so that the plan is a function of plain data.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use formats::bootlink::DeploymentPath;
use formats::keyfile::Keyfile;
use rustix::fs::{AtFlags, FileType, StatVfsMountFlags};

use crate::calls::Calls;
use crate::config::{Composefs, Config};
use crate::open::read_text;
use crate::resolve::{Target, has_directory};

/// Asks for `/var` to be mounted here already. It otherwise waits for a unit of the real root, because a file
/// system of its own may be mounted there.
pub const MOUNT_VAR_MARKER: &str = "/run/ostree/initramfs-mount-var";

/// The composefs image of a deployment, in its directory.
pub const COMPOSEFS_IMAGE: &str = ".ostree.cfs";

/// Where a persistent overlay on `/usr` keeps the changes.
pub const HOTFIX_UPPER: &str = ".usr-ovl-upper";

/// The work directory of a persistent overlay on `/usr` (`ostree admin unlock --hotfix`).
pub const HOTFIX_WORK: &str = ".usr-ovl-work";

/// The repository's own configuration, below the physical root.
const REPO_CONFIG: &str = "ostree/repo/config";

/// The state of the disk and of `/run`, as far as the plan depends on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// `[sysroot] readonly` of the repository's configuration.
    pub repo_readonly: RepoReadonly,
    /// Whether the physical root is mounted writable; looked for only when it matters.
    pub sysroot_writable: bool,
    /// Whether the deployment has a composefs image; looked for only when it matters.
    pub has_composefs_image: bool,
    /// Whether `/usr` has a persistent overlay.
    pub has_hotfix: bool,
    /// Whether the boot loader's files are on the physical root, there is a place for them in the deployment, and its
    /// `fstab` has no other file system for it.
    pub boot_on_sysroot: bool,
    /// Whether `/var` shall be mounted in the initramfs.
    pub mount_var: bool,
    /// Whether the stateroot has its `var`.
    pub has_stateroot_var: bool,
    /// Whether the deployment has the directory `var` to mount on.
    pub has_var_mount_point: bool,
}

/// `[sysroot] readonly` of the repository's configuration, where it was kept before `prepare-root.conf`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RepoReadonly {
    /// Not set, or not looked at because `prepare-root.conf` says it.
    #[default]
    Unset,
    /// Set to true.
    True,
    /// The file cannot be used, and why. That does not keep a machine from booting.
    Unreadable(String),
}

/// Looks at the physical root, the deployment and `/run`.
pub fn gather(sysroot: BorrowedFd<'_>, config: &Config, target: &Target, calls: &Calls) -> Facts {
    let directory = target.directory.as_fd();
    let repo_readonly =
        if config.sysroot_readonly() { RepoReadonly::Unset } else { read_repo_readonly(sysroot, calls) };
    let has_hotfix = exists(directory, HOTFIX_WORK);
    let mount_var = rustix::fs::lstat(MOUNT_VAR_MARKER).is_ok();
    let readonly = config.sysroot_readonly() || repo_readonly == RepoReadonly::True;
    Facts {
        repo_readonly,
        sysroot_writable: has_hotfix && is_writable(sysroot),
        has_composefs_image: config.composefs == Composefs::Maybe && exists(directory, COMPOSEFS_IMAGE),
        has_hotfix,
        boot_on_sysroot: is_link(sysroot, "boot/loader")
            && has_directory(directory, "boot")
            && !has_boot_in_fstab(directory, calls),
        mount_var,
        has_stateroot_var: (readonly || mount_var)
            && has_directory(sysroot, &stateroot_var(&target.deployment.path)),
        has_var_mount_point: mount_var && has_directory(directory, "var"),
    }
}

/// The `var` that the deployments of a stateroot share, below the physical root.
pub fn stateroot_var(path: &DeploymentPath) -> String {
    format!("ostree/deploy/{}/var", path.stateroot)
}

fn exists(parent: BorrowedFd<'_>, name: &str) -> bool {
    rustix::fs::statat(parent, Path::new(name), AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

fn is_link(parent: BorrowedFd<'_>, name: &str) -> bool {
    let stat = rustix::fs::statat(parent, Path::new(name), AtFlags::SYMLINK_NOFOLLOW);
    stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
}

/// A file that cannot be read has no line for `/boot`: systemd will not mount it by that either.
fn has_boot_in_fstab(deployment: BorrowedFd<'_>, calls: &Calls) -> bool {
    matches!(read_text(deployment, "etc/fstab", calls), Ok(Some(text)) if mounts_boot(&text))
}

fn mounts_boot(fstab: &str) -> bool {
    let lines = fstab.lines().filter(|line| !line.trim_start().starts_with('#'));
    let mut places = lines.filter_map(|line| line.split_whitespace().nth(1));
    places.any(|place| place.trim_end_matches('/') == "/boot")
}

fn is_writable(mount: BorrowedFd<'_>) -> bool {
    rustix::fs::fstatvfs(mount).is_ok_and(|stat| !stat.f_flag.contains(StatVfsMountFlags::RDONLY))
}

fn read_repo_readonly(sysroot: BorrowedFd<'_>, calls: &Calls) -> RepoReadonly {
    match read_text(sysroot, REPO_CONFIG, calls) {
        Ok(text) => parse_repo_readonly(&text.unwrap_or_default()),
        Err(error) => RepoReadonly::Unreadable(error.to_string()),
    }
}

fn parse_repo_readonly(text: &str) -> RepoReadonly {
    let flag = match Keyfile::parse(text) {
        Ok(file) => file.boolean("sysroot", "readonly").map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match flag {
        Ok(Some(true)) => RepoReadonly::True,
        Ok(Some(false) | None) => RepoReadonly::Unset,
        Err(why) => RepoReadonly::Unreadable(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_is_found_in_fstab() {
        for (fstab, expected) in [
            ("", false),
            ("/dev/a / ext4 rw 0 1\n/dev/b /boot/efi vfat rw 0 2\n", false),
            ("# /dev/b /boot ext4 rw 0 2\n", false),
            ("LABEL=boot\t/boot\text4 ro 0 2\n", true),
            ("/dev/a / ext4\n  /dev/b /boot/ ext4\n", true),
        ] {
            assert_eq!(mounts_boot(fstab), expected, "{fstab:?}");
        }
    }

    #[test]
    fn a_bad_repo_config_is_noted_and_nothing_more() {
        for (text, expected) in [
            ("", RepoReadonly::Unset),
            ("[core]\nmode=bare\n[sysroot]\nreadonly=true\n", RepoReadonly::True),
            ("[sysroot]\nreadonly=false\n", RepoReadonly::Unset),
        ] {
            assert_eq!(parse_repo_readonly(text), expected, "{text}");
        }
        for text in ["[sysroot]\nreadonly=si\n", "[sysroo"] {
            assert!(matches!(parse_repo_readonly(text), RepoReadonly::Unreadable(_)), "{text}");
        }
    }
}
