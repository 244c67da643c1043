// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changes of the boot menu that make no new deployment: another default, one less, other kernel arguments.

use anyhow::{Context, Result};
use formats::kernel_args::KernelArgs;

use crate::deployment::Deployment;
use crate::entries::Item;
use crate::load::Loaded;
use crate::lock::Lock;
use crate::menu::Switched;
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
    pub fn check(&self, index: usize) -> Result<usize, ReorderError> {
        let count = self.deployments.len();
        self.find(Which::Index(index)).ok_or(ReorderError::OutOfRange { index, count })
    }
}

/// The menu without one deployment.
fn without(all: &[Deployment], index: usize) -> Result<Vec<usize>, ReorderError> {
    match all.get(index) {
        Some(d) if d.booted => Err(ReorderError::Booted(index)),
        _ => Ok((0..all.len()).filter(|&i| i != index).collect()),
    }
}

/// The menu with one deployment in front.
fn with_default(count: usize, index: usize) -> Vec<usize> {
    std::iter::once(index).chain((0..count).filter(|&i| i != index)).collect()
}

/// The deployment to go back to: an upgrade that was not booted yet is undone by going back to the running
/// system; otherwise it is the one behind that. Of a root that is not running, the second in the menu.
fn rollback_target(loaded: &Loaded) -> Option<usize> {
    match (loaded.find(Which::Booted), loaded.find(Which::Pending)) {
        (Some(booted), Some(_)) => Some(booted),
        (Some(_), None) => loaded.find(Which::Rollback),
        (None, _) => loaded.find(Which::Index(1)),
    }
}

impl Sysroot {
    /// Takes a deployment out of the menu and removes it.
    pub fn undeploy(&self, lock: &Lock, index: usize) -> Result<Switched> {
        let loaded = self.load()?;
        let list = without(&loaded.deployments, loaded.check(index)?)?;
        self.reorder(lock, &loaded, &list)
    }

    /// Makes a deployment the default.
    pub fn set_default(&self, lock: &Lock, index: usize) -> Result<Switched> {
        let loaded = self.load()?;
        let list = with_default(loaded.deployments.len(), loaded.check(index)?);
        self.reorder(lock, &loaded, &list)
    }

    /// Makes the deployment to go back to the default, and gives its former place.
    pub fn rollback(&self, lock: &Lock) -> Result<(usize, Switched)> {
        let loaded = self.load()?;
        let index = rollback_target(&loaded).ok_or(ReorderError::NothingToRollBackTo)?;
        let list = with_default(loaded.deployments.len(), index);
        Ok((index, self.reorder(lock, &loaded, &list)?))
    }

    /// Edits the kernel arguments of deployments in place: `edit` gets each one's, and says whether it changed
    /// them.
    pub fn edit_kernel_args(
        &self,
        lock: &Lock,
        mut edit: impl FnMut(usize, &mut KernelArgs) -> Result<bool>,
    ) -> Result<Switched> {
        let loaded = self.load()?;
        let mut items = Vec::new();
        for (index, deployment) in loaded.deployments.iter().enumerate() {
            let mut args = deployment.kernel_args();
            let changed = edit(index, &mut args).with_context(|| format!("Editing deployment {index}"))?;
            items.push(Item::Old { index, kernel_args: changed.then_some(args) });
        }
        self.switch_menu(lock, &loaded, &items, false)
    }

    fn reorder(&self, lock: &Lock, loaded: &Loaded, list: &[usize]) -> Result<Switched> {
        let items: Vec<Item<'_>> = list.iter().map(|&index| Item::old(index)).collect();
        self.switch_menu(lock, loaded, &items, true)
    }
}
