// SPDX-License-Identifier: MIT OR Apache-2.0
//! How deep directories may nest.
//!
//! Walks go down by recursion and hold a descriptor a level. A path of the system has at most 4096 bytes, so no tree
//! that can be used is anywhere near this; one that is was made to break who reads it.

use crate::RepoError;

/// Levels of directories in a commit.
pub const MAX_DEPTH: usize = 1000;

/// Checks the path of a directory, in which each level has a slash.
pub fn check_depth(path: &str) -> Result<(), RepoError> {
    let levels = path.bytes().filter(|&c| c == b'/').count();
    if levels > MAX_DEPTH { Err(RepoError::TooDeep(MAX_DEPTH)) } else { Ok(()) }
}
