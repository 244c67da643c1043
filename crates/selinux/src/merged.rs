// SPDX-License-Identifier: MIT OR Apache-2.0
//! The labels of a merged `/etc`, at a time when a failure is told and stops nothing.

use std::os::fd::BorrowedFd;

use crate::{Labeler, label_var_once};

/// Reads the policy of a tree as [`Labeler::of`] does; one that cannot be used counts as none, and is told.
///
/// At shutdown the user cannot be asked any more.
pub fn as_far_as_possible(tree: BorrowedFd<'_>) -> Option<Labeler> {
    Labeler::of(tree).unwrap_or_else(|error| {
        log::warn!("{error:#}; going on without labels");
        None
    })
}

/// Labels unlabelled files in the `/etc` of a merge, and the `/var` of the `stateroot`, which may be without labels yet.
///
/// A failure is told: an update is not lost over it.
pub fn label_merged(tree: BorrowedFd<'_>, stateroot: Option<BorrowedFd<'_>>) {
    let Some(labeler) = as_far_as_possible(tree) else { return };
    let var = || stateroot.map_or(Ok(()), |stateroot| label_var_once(stateroot, &labeler));
    if let Err(error) = labeler.fill_etc(tree).and_then(|()| var()) {
        log::warn!("{error:#}; run `restorecon` on it in the new system");
    }
}
