// SPDX-License-Identifier: MIT OR Apache-2.0
//! The files of a tree that get labels.

/// The files that are labelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Everything, whatever label it has.
    All,
    /// Files without a label: somebody may have given the others theirs on purpose.
    Unlabelled,
    /// The same without files that have more than one name: those of a deployment are the repository's, whose labels belong to
    /// a commit.
    UnlabelledOwn,
}
