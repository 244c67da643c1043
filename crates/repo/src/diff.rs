// SPDX-License-Identifier: MIT OR Apache-2.0
//! The differences between two trees.

use anyhow::Result;
use formats::object::DirTree;

use crate::{Entry, Repo, check_depth};

/// How a path differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// In both, but different; for a directory: its metadata.
    Modified,
    /// Only in the first.
    Deleted,
    /// Only in the second.
    Added,
}

/// Paths that differ, each with a leading slash, by kind, then in the order of a walk: files before directories.
pub type Differences = Vec<(Change, String)>;

impl Repo {
    /// Compares two directories of the repository. Equal checksums are equal trees and are not walked.
    pub fn diff(&self, from: Entry, to: Entry) -> Result<Differences> {
        let mut out = Vec::new();
        self.compare(&mut out, "", from, to)?;
        out.sort_by_key(|(change, _)| *change);
        Ok(out)
    }

    fn compare(&self, out: &mut Differences, path: &str, from: Entry, to: Entry) -> Result<()> {
        check_depth(path)?;
        let (Entry::Dir { tree: old, meta: old_meta }, Entry::Dir { tree: new, meta: new_meta }) = (from, to)
        else {
            return Ok(());
        };
        if old_meta != new_meta && !path.is_empty() {
            out.push((Change::Modified, path.to_owned()));
        }
        if old == new {
            return Ok(());
        }
        let (old_data, new_data) = (self.load_dirtree(&old)?, self.load_dirtree(&new)?);
        let (old, new) = (self.parse_dirtree(&old, &old_data)?, self.parse_dirtree(&new, &new_data)?);
        for (name, before) in entries(&old) {
            let child = format!("{path}/{name}");
            match (before, find(&new, name)) {
                (before @ Entry::Dir { .. }, Some(after @ Entry::Dir { .. })) => {
                    self.compare(out, &child, before, after)?
                }
                (before, Some(after)) if before == after => {}
                (_, Some(_)) => out.push((Change::Modified, child)),
                (_, None) => out.push((Change::Deleted, child)),
            }
        }
        for (name, entry) in entries(&new).filter(|(name, _)| find(&old, name).is_none()) {
            self.list_added(out, format!("{path}/{name}"), entry)?;
        }
        Ok(())
    }

    /// A directory that is new counts with all below it.
    fn list_added(&self, out: &mut Differences, path: String, entry: Entry) -> Result<()> {
        let mut todo = vec![(path, entry)];
        while let Some((path, entry)) = todo.pop() {
            if let Entry::Dir { tree, .. } = entry {
                check_depth(&path)?;
                let data = self.load_dirtree(&tree)?;
                let dir = self.parse_dirtree(&tree, &data)?;
                todo.extend(entries(&dir).map(|(name, entry)| (format!("{path}/{name}"), entry)));
            }
            out.push((Change::Added, path));
        }
        Ok(())
    }
}

fn entries<'a>(tree: &'a DirTree<'a>) -> impl Iterator<Item = (&'a str, Entry)> {
    let files = tree.files.iter().map(|file| (file.name, Entry::File(file.checksum)));
    files.chain(tree.dirs.iter().map(|dir| (dir.name, Entry::Dir { tree: dir.tree, meta: dir.meta })))
}

fn find(tree: &DirTree<'_>, name: &str) -> Option<Entry> {
    let file = tree.file(name).map(|file| Entry::File(file.checksum));
    file.or_else(|| tree.dir(name).map(|dir| Entry::Dir { tree: dir.tree, meta: dir.meta }))
}
