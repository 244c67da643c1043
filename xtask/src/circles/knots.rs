// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sets of files that reach each other: the strongly connected components of a graph, by Tarjan's algorithm.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The names that a file uses from another one.
pub(super) type Edges = BTreeMap<(PathBuf, PathBuf), BTreeSet<String>>;

/// Returns every set of two or more files that reach each other.
pub(super) fn knots(edges: &Edges) -> Vec<BTreeSet<&PathBuf>> {
    let mut uses: BTreeMap<&PathBuf, Vec<&PathBuf>> = BTreeMap::new();
    for (from, to) in edges.keys() {
        uses.entry(from).or_default().push(to);
    }
    let mut search = Search { uses, found: BTreeMap::new(), path: Vec::new(), knots: Vec::new() };
    for from in search.uses.keys().copied().collect::<Vec<_>>() {
        if !search.found.contains_key(from) {
            search.visit(from);
        }
    }
    search.knots.sort();
    search.knots
}

/// The state of the search, which goes as deep as there are files in a crate.
struct Search<'a> {
    uses: BTreeMap<&'a PathBuf, Vec<&'a PathBuf>>,
    /// When each file was found.
    found: BTreeMap<&'a PathBuf, usize>,
    /// Files that belong to no set yet.
    path: Vec<&'a PathBuf>,
    knots: Vec<BTreeSet<&'a PathBuf>>,
}

impl<'a> Search<'a> {
    /// Returns when the earliest file was found that this one reaches and that belongs to no set yet.
    fn visit(&mut self, file: &'a PathBuf) -> usize {
        let mine = self.found.len();
        self.found.insert(file, mine);
        self.path.push(file);
        let mut earliest = mine;
        for next in self.uses.get(file).cloned().unwrap_or_default() {
            match self.found.get(next) {
                None => earliest = earliest.min(self.visit(next)),
                Some(found) if self.path.contains(&next) => earliest = earliest.min(*found),
                Some(_) => {}
            }
        }
        if earliest == mine {
            let start = self.path.iter().position(|one| *one == file).unwrap_or_default();
            let set: BTreeSet<&PathBuf> = self.path.drain(start..).collect();
            if set.len() > 1 {
                self.knots.push(set);
            }
        }
        earliest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sets_and_what_only_leads_to_them() {
        let mut edges = Edges::new();
        for (from, to) in ["ab", "bc", "ca", "cd", "de", "ed", "xa", "ey"].map(|pair| pair.split_at(1)) {
            edges.entry((from.into(), to.into())).or_default().insert("n".to_owned());
        }
        let sets: Vec<String> = knots(&edges)
            .iter()
            .map(|set| set.iter().map(|file| file.display().to_string()).collect())
            .collect();
        assert_eq!(sets, ["abc", "de"]);
    }
}
