// SPDX-License-Identifier: MIT OR Apache-2.0
//! New orders of the boot menu, without any new deployment.

use sysroot::{Deployment, Loaded, Which};

/// Why a change of the menu cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReorderError {
    /// The running system cannot be removed.
    #[error("Cannot undeploy currently booted deployment {0}")]
    Booted(usize),
    /// A boot menu has at least one entry.
    #[error(
        "Cannot undeploy deployment {0}: it is the last one, and without it there is nothing to boot; deploy another one first"
    )]
    Last(usize),
    /// There is nothing behind the running system.
    #[error("No rollback deployment: the boot menu has nothing to go back to")]
    NothingToRollBackTo,
}

/// The menu without one deployment.
pub(crate) fn without(all: &[Deployment], index: usize) -> Result<Vec<usize>, ReorderError> {
    match all.get(index) {
        Some(d) if d.booted => Err(ReorderError::Booted(index)),
        Some(_) if all.len() == 1 => Err(ReorderError::Last(index)),
        _ => Ok((0..all.len()).filter(|&i| i != index).collect()),
    }
}

/// The menu with one deployment in front.
pub(crate) fn with_default(count: usize, index: usize) -> Vec<usize> {
    std::iter::once(index).chain((0..count).filter(|&i| i != index)).collect()
}

/// The deployment to go back to: an upgrade that was not booted yet is undone by going back to the running
/// system; otherwise it is the one behind that. Of a root that is not running, the second in the menu.
pub(crate) fn rollback_target(loaded: &Loaded) -> Option<usize> {
    match (loaded.find(Which::Booted), loaded.find(Which::Pending)) {
        (Some(booted), Some(_)) => Some(booted),
        (Some(_), None) => loaded.find(Which::Rollback),
        (None, _) => loaded.find(Which::Index(1)),
    }
}
