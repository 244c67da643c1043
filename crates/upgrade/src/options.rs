// SPDX-License-Identifier: MIT OR Apache-2.0
//! The choices of an upgrade.

use deploy::{Check, Selinux};
use formats::Checksum;

/// The choices of an upgrade.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The stateroot; of a running system its own is the default.
    pub stateroot: Option<String>,
    /// The branch to follow from now on, `REMOTE:BRANCH`, `REMOTE:` or `BRANCH`; without, that of the origin.
    pub switch_to: Option<String>,
    /// Also take a commit that is older than the present one.
    pub allow_downgrade: bool,
    /// This commit instead of the newest.
    pub override_commit: Option<Checksum>,
    /// The steps that are taken.
    pub steps: Steps,
    /// The treatment of a tree with an SELinux policy.
    pub selinux: Selinux,
    /// Checks of the tree whose findings are no reason to refuse it.
    pub ignore: Vec<Check>,
}

/// The steps that are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Steps {
    /// Pull, and deploy at once.
    #[default]
    Deploy,
    /// Pull, and deploy at shutdown.
    Stage,
    /// Pull only.
    PullOnly,
    /// Deploy what was pulled earlier.
    DeployOnly,
    /// Deploy what was pulled earlier at shutdown.
    StageOnly,
}
