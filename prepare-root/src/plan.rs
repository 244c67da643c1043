// SPDX-License-Identifier: MIT OR Apache-2.0
//! All that will be mounted, as plain data.
//!
//! | in the new root | from | when |
//! |---|---|---|
//! | `/` | the deployment's directory | always |
//! | `/etc` | the deployment's `etc`, writable | the physical root becomes read-only |
//! | `/usr` | the deployment's `usr`, read-only | there is no hotfix |
//! | `/usr` | an overlay over the deployment's `usr` | there is a hotfix |
//! | `/boot` | that of the physical root, read-only where that becomes so | a boot loader starts from it, and `fstab` has no other |
//! | `/sysroot` | the physical root, read-only where configured | always |
//! | `/sysroot/ostree/deploy/STATEROOT/var` | itself, writable | the physical root becomes read-only |
//! | `/var` | the stateroot's `var` | asked for by [`facts::MOUNT_VAR_MARKER`] |

mod json;
mod text;

use std::fmt;

use formats::run_state::RunState;

use crate::config::Config;
use crate::facts::{self, Facts, RepoReadonly, stateroot_var};
use crate::resolve::Deployment;

/// The mounts of a boot, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountPlan {
    /// The deployment that is booted.
    pub deployment: Deployment,
    /// Whether the physical root becomes read-only.
    pub sysroot_readonly: bool,
    /// The mounts of the new root; each lies in one of those before it.
    pub mounts: Vec<Mount>,
    /// Notes for the log.
    pub notes: Vec<String>,
}

/// One mount of the new root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Where, relative to the new root; empty for the root itself.
    pub at: String,
    /// What.
    pub source: Source,
    /// The access through it.
    pub access: Access,
    /// Whether mounts made below it later reach other mount namespaces.
    pub shared: bool,
}

/// The source of a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The physical root with all that is mounted in it.
    PhysicalRoot,
    /// A directory, relative to the physical root.
    Directory(String),
    /// The deployment's `usr` with the overlay that a hotfix left in the deployment.
    HotfixOverlay,
}

/// The access through a mount, as far as the mount limits it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// As through the mount that it was taken from.
    Keep,
    /// Nobody.
    ReadOnly,
    /// As the file system allows.
    Writable,
}

/// Why there is no plan.
#[derive(Debug, PartialEq, Eq)]
pub enum PlanError {
    /// The stateroot has no `var`, which is needed.
    NoStaterootVar(String),
    /// The deployment has no directory to mount `/var` on.
    NoVarMountPoint(String),
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoStaterootVar(path) => {
                write!(f, "/{path} is not a directory; create it with `ostree admin stateroot-init` or mkdir")
            }
            Self::NoVarMountPoint(path) => {
                let marker = facts::MOUNT_VAR_MARKER;
                write!(
                    f,
                    "deployment /{path} has no directory var, but {marker} asks for /var; boot another entry"
                )
            }
        }
    }
}

impl std::error::Error for PlanError {}

impl MountPlan {
    /// Decides what to mount. Touches nothing.
    ///
    /// # Errors
    ///
    /// When a directory that the configuration makes necessary is not there.
    pub fn new(config: &Config, deployment: &Deployment, facts: &Facts) -> Result<Self, PlanError> {
        let readonly = config.sysroot_readonly() || facts.repo_readonly == RepoReadonly::True;
        let var = stateroot_var(&deployment.path);
        if (readonly || facts.mount_var) && !facts.has_stateroot_var {
            return Err(PlanError::NoStaterootVar(var));
        }
        if facts.mount_var && !facts.has_var_mount_point {
            return Err(PlanError::NoVarMountPoint(deployment.path.to_string()));
        }
        // Where the physical root stays as it is, what lies on it does too.
        let writable = if readonly { Access::Writable } else { Access::Keep };

        let mut mounts = vec![Mount::bind("", deployment.path.to_string(), Access::Keep)];
        if readonly {
            mounts.push(Mount::bind("etc", format!("{}/etc", deployment.path), Access::Writable));
        }
        mounts.push(usr(deployment, facts));
        let physical = if readonly { Access::ReadOnly } else { Access::Keep };
        if facts.boot_on_sysroot {
            // Generators before that of 2026 rely on it; later ones see it and leave it.
            mounts.push(Mount::bind("boot", "boot".to_owned(), physical));
        }
        mounts
            .push(Mount { source: Source::PhysicalRoot, ..Mount::bind("sysroot", String::new(), physical) });
        if readonly {
            mounts.push(Mount::bind(&format!("sysroot/{var}"), var.clone(), writable));
        }
        if facts.mount_var {
            // Shared, so that what is mounted below /var reaches services in namespaces of their own, but in a
            // peer group of its own, so that it does not appear in the stateroot as well (ostree#2086).
            mounts.push(Mount { shared: true, ..Mount::bind("var", var, writable) });
        }
        Ok(Self { deployment: deployment.clone(), sysroot_readonly: readonly, mounts, notes: notes(facts) })
    }

    /// Returns the content of `/run/ostree-booted` for the programs of the real root.
    pub fn run_state(&self) -> RunState {
        RunState {
            backing_root: Some((self.deployment.device, self.deployment.inode)),
            root_transient: Some(false),
            root_transient_ro: Some(false),
            sysroot_readonly: Some(self.sysroot_readonly),
            ..RunState::default()
        }
    }
}

impl Mount {
    fn bind(at: &str, directory: String, access: Access) -> Self {
        Self { at: at.to_owned(), source: Source::Directory(directory), access, shared: false }
    }
}

fn usr(deployment: &Deployment, facts: &Facts) -> Mount {
    let plain = Mount::bind("usr", format!("{}/usr", deployment.path), Access::ReadOnly);
    if !facts.has_hotfix {
        return plain;
    }
    // An overlay cannot write to a physical root that is mounted read-only. It stays without changes in this boot.
    let access = if facts.sysroot_writable { Access::Keep } else { Access::ReadOnly };
    Mount { source: Source::HotfixOverlay, access, ..plain }
}

fn notes(facts: &Facts) -> Vec<String> {
    let mut notes = Vec::new();
    match &facts.repo_readonly {
        RepoReadonly::Unset => {}
        RepoReadonly::True => {
            notes.push(
                "sysroot.readonly is set in /ostree/repo/config; move it to prepare-root.conf".to_owned(),
            );
        }
        RepoReadonly::Unreadable(why) => notes.push(format!("/ostree/repo/config is ignored: {why}")),
    }
    if facts.has_composefs_image {
        notes.push(
            "composefs.enabled=maybe, and this version mounts no composefs image: using the plain mode"
                .to_owned(),
        );
    }
    notes
}

#[cfg(test)]
mod tests;
