// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lists of paths that a commit treats in a way of their own.

use std::cell::Cell;
use std::collections::BTreeMap;

/// Values by path, with a leading slash, which remembers the paths that were met.
#[derive(Debug, Clone)]
pub struct PathTable<T> {
    entries: BTreeMap<String, (T, Cell<bool>)>,
}

impl<T> Default for PathTable<T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new() }
    }
}

impl<T> FromIterator<(String, T)> for PathTable<T> {
    fn from_iter<I: IntoIterator<Item = (String, T)>>(entries: I) -> Self {
        let entries = entries.into_iter().map(|(path, value)| (path, (value, Cell::new(false))));
        Self { entries: entries.collect() }
    }
}

impl PathTable<()> {
    /// Reads one path a line; empty lines count for nothing.
    pub fn parse(text: &str) -> Self {
        text.lines().filter(|line| !line.is_empty()).map(|line| (line.to_owned(), ())).collect()
    }
}

impl<T> PathTable<T> {
    /// Returns the value of a path, which counts as met from now on.
    pub fn meet(&self, path: &str) -> Option<&T> {
        let (value, met) = self.entries.get(path)?;
        met.set(true);
        Some(value)
    }

    /// Lists the paths that were not met, sorted.
    pub fn unmet(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter(|(_, (_, met))| !met.get()).map(|(path, _)| path.as_str())
    }

    /// Lists all paths, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_met_once_it_was_asked_for() {
        let table = PathTable::parse("/b\n\n/a\n/c\n");
        assert!(table.meet("/a").is_some() && table.meet("/d").is_none() && table.meet("c").is_none());
        assert_eq!(table.unmet().collect::<Vec<_>>(), ["/b", "/c"]);
        assert_eq!(table.paths().count(), 3);
    }
}
