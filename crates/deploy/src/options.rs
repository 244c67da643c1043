// SPDX-License-Identifier: MIT OR Apache-2.0
//! The options of a new deployment.

use std::path::PathBuf;

use selinux::Selinux;
use sysroot::{Origin, Retention};

use crate::edits::Edits;
use crate::preflight::Check;

/// The commit to deploy, and the way to deploy it.
#[derive(Debug, Clone)]
pub struct DeployOptions {
    /// A ref or a checksum in the system's repository.
    pub refspec: String,
    /// The stateroot; of a running system its own is the default.
    pub stateroot: Option<String>,
    /// The new deployment's origin; else one that follows `refspec`.
    pub origin: Option<Origin>,
    /// Take over `/etc` and kernel arguments.
    pub merge: bool,
    /// The deployments that stay beyond those that always do.
    pub retention: Retention,
    /// Make it the default.
    pub as_default: bool,
    /// Changes of the kernel arguments.
    pub kernel_args: Edits,
    /// Files with more initrds, which are loaded after the tree's own, in this order.
    pub overlay_initrds: Vec<PathBuf>,
    /// The handling of SELinux labels.
    pub selinux: Selinux,
    /// Checks of the tree whose findings are no reason to refuse it.
    pub ignore: Vec<Check>,
    /// Remove objects that nothing needs any more.
    pub prune: bool,
}

impl DeployOptions {
    /// The default way to deploy `refspec`.
    pub fn new(refspec: &str) -> Self {
        Self {
            refspec: refspec.to_owned(),
            stateroot: None,
            origin: None,
            merge: true,
            retention: Retention::default(),
            as_default: true,
            kernel_args: Edits::default(),
            overlay_initrds: Vec::new(),
            selinux: Selinux::default(),
            ignore: Vec::new(),
            prune: true,
        }
    }
}
