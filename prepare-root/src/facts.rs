// SPDX-License-Identifier: MIT OR Apache-2.0
//! What there is to mount, gathered once, so that the plan is a function of plain data.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use formats::bootlink::DeploymentPath;
use formats::keyfile::Keyfile;
use rustix::fs::{AtFlags, StatVfsMountFlags};

use crate::calls::Calls;
use crate::config::{Composefs, Config};
use crate::open::read_text;
use crate::resolve::{Target, has_directory};

/// Asks for `/var` to be mounted here already. It otherwise waits for a unit of the real root, because a file
/// system of its own may be mounted there.
pub const MOUNT_VAR_MARKER: &str = "/run/ostree/initramfs-mount-var";

/// The composefs image of a deployment, in its directory.
pub const COMPOSEFS_IMAGE: &str = ".ostree.cfs";

/// The work directory of a persistent overlay on `/usr` (`ostree admin unlock --hotfix`).
pub const HOTFIX_WORK: &str = ".usr-ovl-work";

/// The repository's own configuration, below the physical root.
const REPO_CONFIG: &str = "ostree/repo/config";

/// What there is on the disk and in `/run`, as far as the plan depends on it.
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
