// SPDX-License-Identifier: MIT OR Apache-2.0
//! Naming a deployment by its place in the menu, or by its relation to the running system.

use anyhow::Result;

use crate::load::Loaded;

/// A deployment by its relation to the running system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// By its place in the menu, counted from 0.
    Index(usize),
    /// The running system.
    Booted,
    /// The one before it.
    Pending,
    /// The one behind it.
    Rollback,
}

/// There is no deployment with this number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Out of range deployment index {index}, expected < {count}")]
pub struct OutOfRange {
    /// The number that was asked for.
    pub index: usize,
    /// How many deployments there are.
    pub count: usize,
}

impl Loaded {
    /// Finds the place of a deployment in the menu.
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

    /// Gives back a place that must be in the menu.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`], or the entries that cannot be read: the deployment may be in one of them.
    pub fn check(&self, index: usize) -> Result<usize> {
        let count = self.deployments.len();
        let found = self.find(Which::Index(index)).ok_or(OutOfRange { index, count });
        self.or_unread(found.map_err(Into::into))
    }

    /// Gives back a search result; of a failed one, the unreadable entries are the error.
    ///
    /// # Errors
    ///
    /// The entries that cannot be read, in which the deployment may be; else the error that was given.
    pub fn or_unread<T>(&self, found: Result<T>) -> Result<T> {
        found.or_else(|error| self.boot.check().map_err(Into::into).and(Err(error)))
    }
}
