// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changes of the boot menu that make no new deployment: another default, one less, other kernel arguments.

use anyhow::Result;

use crate::deploy::Edits;
use crate::deployment::Deployment;
use crate::load::Loaded;
use crate::lock::Lock;
use crate::menu::Switched;
use crate::plan::Request;
use crate::sysroot::Sysroot;

/// Why a change of the menu cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReorderError {
    /// There is no deployment with this number.
    #[error("Out of range deployment index {index}, expected < {count}")]
    OutOfRange {
        /// What was asked for.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// The running system cannot be removed.
    #[error("Cannot undeploy currently booted deployment {0}")]
    Booted(usize),
    /// There is nothing behind the running system.
    #[error("No rollback deployment: the boot menu has nothing to go back to")]
    NothingToRollBackTo,
}

/// A deployment by what it is to the running system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// By its place in the menu.
    Index(usize),
    /// The running system.
    Booted,
    /// The one before it.
    Pending,
    /// The one behind it.
    Rollback,
}

impl Loaded {
    /// The place of a deployment in the menu.
    pub fn find(&self, which: Which) -> Option<usize> {
        let count = self.deployments.len();
        let booted = self.booted();
        // Only deployments of the running system's stateroot are before or behind it.
        let same = |index: &usize| {
            let of = |at: usize| self.deployments.get(at).map(|d| &d.path.stateroot);
            booted.is_some_and(|at| of(at) == of(*index))
        };
        match which {
            Which::Index(index) => (index < count).then_some(index),
            Which::Booted => booted,
            Which::Pending => booted.and_then(|at| (0..at).find(same)),
            Which::Rollback => booted.and_then(|at| (at + 1..count).find(same)),
        }
    }

    /// A place that must be in the menu.
    ///
    /// Errors: [`ReorderError::OutOfRange`], and the entries that cannot be read: what was asked for may be one of them.
    pub fn check(&self, index: usize) -> Result<usize> {
        let count = self.deployments.len();
        let found = self.find(Which::Index(index)).ok_or(ReorderError::OutOfRange { index, count });
        self.or_unread(found.map_err(Into::into))
    }

    /// What was found, or else the entry that cannot be read and in which it may be.
    pub(crate) fn or_unread<T>(&self, found: Result<T>) -> Result<T> {
        found.or_else(|error| self.boot.check().map_err(Into::into).and(Err(error)))
    }
}

/// The menu without one deployment.
pub(crate) fn without(all: &[Deployment], index: usize) -> Result<Vec<usize>, ReorderError> {
    match all.get(index) {
        Some(d) if d.booted => Err(ReorderError::Booted(index)),
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

impl Sysroot {
    /// Takes a deployment out of the menu and removes it.
    pub fn undeploy(&self, lock: &Lock, index: usize) -> Result<Switched> {
        self.change_menu(lock, &Request::Undeploy(index))
    }

    /// Makes a deployment the default.
    pub fn set_default(&self, lock: &Lock, index: usize) -> Result<Switched> {
        self.change_menu(lock, &Request::SetDefault(index))
    }

    /// Makes the deployment to go back to the default, and gives its former place.
    pub fn rollback(&self, lock: &Lock) -> Result<(usize, Switched)> {
        let index = rollback_target(&self.load()?).ok_or(ReorderError::NothingToRollBackTo)?;
        Ok((index, self.change_menu(lock, &Request::Rollback)?))
    }

    /// Edits the kernel arguments of a deployment in place, or of all.
    pub fn edit_kernel_args(&self, lock: &Lock, index: Option<usize>, edits: &Edits) -> Result<Switched> {
        self.change_menu(lock, &Request::KernelArgs { index, edits: edits.clone() })
    }

    fn change_menu(&self, lock: &Lock, request: &Request) -> Result<Switched> {
        let loaded = self.load()?;
        let (items, prune) = request.items(&loaded)?;
        let menu = self.plan_menu(&loaded, &items, prune, self.boot_settings(&loaded)?)?;
        self.switch_menu(lock, &loaded, &menu)
    }
}
