// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files that list paths of a tree, one a line.

use std::collections::HashSet;

/// Paths of a tree, each with a leading slash.
#[derive(Debug, Clone, Default)]
pub struct PathSet(HashSet<String>);

impl PathSet {
    /// Reads one path a line; empty lines count for nothing.
    pub fn parse(text: &str) -> Self {
        Self(text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
    }

    /// Whether `path` is listed.
    pub fn contains(&self, path: &str) -> bool {
        self.0.contains(path)
    }

    /// Whether `path` is listed as a directory: with a slash at its end, as the C tools want it for checkouts.
    pub fn contains_dir(&self, path: &str) -> bool {
        !self.0.is_empty() && self.0.contains(&format!("{path}/"))
    }

    /// Whether nothing is listed, so that paths need not be made.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
