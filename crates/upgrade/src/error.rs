// SPDX-License-Identifier: MIT OR Apache-2.0
//! The errors of an upgrade that callers tell apart.

/// The reasons why nothing can be upgraded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpgradeError {
    /// No stateroot was named, and the running system has none.
    #[error("Not currently booted into an OSTree system and no OS specified")]
    NotBooted,
    /// There is nothing to start from.
    #[error("No previous deployment for OS '{0}'")]
    NoDeployment(String),
    /// The deployment has no origin file.
    #[error("No origin known for deployment {0}: {0}.origin beside it is missing or cannot be read")]
    NoOrigin(String),
    /// The origin says that somebody has to do something first.
    #[error("origin unconfigured-state: {0}")]
    Unconfigured(String),
    /// The origin follows nothing.
    #[error("No origin/refspec in current deployment origin; cannot upgrade via ostree")]
    NoRefspec,
    /// Switching to what is followed already.
    #[error("Old and new refs are equal: {0}")]
    SameRef(String),
    /// Commits that send each other on.
    #[error("The end of life of {0} leads back to itself")]
    RebaseLoop(String),
}
