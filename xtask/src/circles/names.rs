// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the paths in a file to the files that define the names.

use std::collections::BTreeSet;
use std::path::Path;

use super::knots::Edges;
use super::source::Tree;

/// Returns which file uses which, and by which names.
pub(super) fn edges(tree: &Tree) -> Edges {
    let mut edges = Edges::new();
    for (place, module) in tree.modules.iter().enumerate() {
        let imported = module.imports.iter().filter(|import| !import.is_re_export && import.name.is_some());
        for path in imported.map(|import| &import.path).chain(&module.paths) {
            if let Some(found) = Names::new(tree).find(place, path)
                && found.file != module.file
            {
                let pair = (module.file.clone(), found.file.to_owned());
                edges.entry(pair).or_default().insert(found.name.to_owned());
            }
        }
    }
    edges
}

/// The definition of a name.
struct Definition<'a> {
    file: &'a Path,
    name: &'a str,
}

/// One search. Imports may lead back to where it came from.
struct Names<'a> {
    tree: &'a Tree,
    seen: BTreeSet<(usize, &'a [String])>,
    /// Modules that are looked for at this moment.
    open: BTreeSet<(usize, &'a str)>,
}

impl<'a> Names<'a> {
    fn new(tree: &'a Tree) -> Self {
        Self { tree, seen: BTreeSet::new(), open: BTreeSet::new() }
    }

    /// Finds the definition of a path that stands in a module. None for names of other crates and for modules themselves.
    fn find(&mut self, place: usize, path: &'a [String]) -> Option<Definition<'a>> {
        let mut place = place;
        let mut rest = path;
        while let [first, after @ ..] = rest {
            place = match first.as_str() {
                "crate" => 0,
                "self" => place,
                "super" => self.tree.modules[place].parent,
                _ => break,
            };
            rest = after;
        }
        self.find_in(place, rest)
    }

    /// Finds a path whose first segment is a name in a module.
    fn find_in(&mut self, place: usize, path: &'a [String]) -> Option<Definition<'a>> {
        let (name, rest) = path.split_first()?;
        if !self.seen.insert((place, path)) {
            return None;
        }
        let module = &self.tree.modules[place];
        if let (Some(child), false) = (module.children.get(name), rest.is_empty()) {
            return self.find_in(*child, rest);
        }
        if module.items.contains(name) {
            return Some(Definition { file: &module.file, name });
        }
        module.imports.iter().find_map(|import| match &import.name {
            Some(imported) if imported == name => self.find_from(place, &import.path, rest),
            None => self.module(place, &import.path).and_then(|module| self.find_in(module, path)),
            Some(_) => None,
        })
    }

    /// Finds what stands behind an import.
    fn find_from(
        &mut self,
        place: usize,
        import: &'a [String],
        rest: &'a [String],
    ) -> Option<Definition<'a>> {
        match self.module(place, import) {
            Some(module) if !rest.is_empty() => self.find_in(module, rest),
            _ => self.find(place, import),
        }
    }

    /// The module that a path names, if it is one.
    fn module(&mut self, place: usize, path: &'a [String]) -> Option<usize> {
        let (last, before) = path.split_last()?;
        match last.as_str() {
            "crate" => return Some(0),
            "self" if before.is_empty() => return Some(place),
            "super" if before.is_empty() => return Some(self.tree.modules[place].parent),
            _ => {}
        }
        let above = if before.is_empty() { place } else { self.module(place, before)? };
        if last == "super" {
            return Some(self.tree.modules[above].parent);
        }
        let module = &self.tree.modules[above];
        if let Some(child) = module.children.get(last) {
            return Some(*child);
        }
        if !self.open.insert((above, last)) {
            return None;
        }
        let found = module.imports.iter().find_map(|import| match &import.name {
            Some(name) if name == last => self.module(above, &import.path),
            _ => None,
        });
        self.open.remove(&(above, last));
        found
    }
}
