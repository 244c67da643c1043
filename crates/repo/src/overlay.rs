// SPDX-License-Identifier: MIT OR Apache-2.0
//! Laying the tree of a commit over one under construction, by the rules of the new commit.

use std::collections::HashMap;

use anyhow::{Context as _, Result};
use formats::Checksum;
use formats::object::{DirMeta, FileHeader, FileMeta, Xattrs};

use crate::tree::Tree;
use crate::tree_options::TreeOptions;
use crate::{Entry, RepoError, Transaction, check_depth};

/// Lays the tree of `commit` over `tree`, changed by `options`.
///
/// # Errors
/// The commit is not whole, or an object cannot be written.
pub fn add_commit(
    transaction: &mut Transaction<'_>,
    tree: &mut Tree,
    commit: &Checksum,
    options: &TreeOptions,
) -> Result<()> {
    transaction.repo().check_tree(commit)?;
    let Entry::Dir { tree: root, meta } = transaction.repo().root_of(commit)? else {
        return Err(RepoError::NoPath("/".to_owned()).into());
    };
    if !options.change_anything() {
        return tree.overlay(transaction.repo(), &root, &meta);
    }
    Overlay { transaction, options, metas: HashMap::new(), path: String::new() }.directory(tree, &root, &meta)
}

struct Overlay<'a, 'r> {
    transaction: &'a mut Transaction<'r>,
    options: &'a TreeOptions,
    /// Dirmeta objects before and after: a tree has few, but for those of listed paths.
    metas: HashMap<Checksum, Checksum>,
    /// The path in the tree, with a leading slash; empty for its top.
    path: String,
}

impl Overlay<'_, '_> {
    fn directory(&mut self, tree: &mut Tree, source: &Checksum, meta: &Checksum) -> Result<()> {
        check_depth(&self.path)?;
        tree.set_meta(self.dir_meta(meta).with_context(|| self.path.clone())?);
        let data = self.transaction.repo().load_dirtree(source)?;
        let over = self.transaction.repo().parse_dirtree(source, &data)?;
        for file in &over.files {
            self.below(file.name, |overlay| {
                let checksum = overlay.file(&file.checksum)?;
                tree.insert_file(file.name, checksum)
            })?;
        }
        for dir in &over.dirs {
            self.below(dir.name, |overlay| {
                let inside = tree.ensure_dir(overlay.transaction.repo(), dir.name)?;
                overlay.directory(inside, &dir.tree, &dir.meta)
            })?;
        }
        Ok(())
    }

    /// Does this for an entry, unless it is skipped.
    fn below(&mut self, name: &str, act: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let len = self.path.len();
        self.path.push('/');
        self.path.push_str(name);
        if self.options.skip.meet(&self.path).is_none() {
            act(self).with_context(|| self.path.clone())?;
        }
        self.path.truncate(len);
        Ok(())
    }

    fn dir_meta(&mut self, found: &Checksum) -> Result<Checksum> {
        let path = if self.path.is_empty() { "/" } else { &self.path };
        let is_listed = self.options.mode_changes.meet(path).is_some();
        if let (false, Some(known)) = (is_listed, self.metas.get(found)) {
            self.transaction.count_known_metadata()?;
            return Ok(*known);
        }
        let meta = self.transaction.repo().load_dirmeta(found)?;
        let changed = self.options.modify(self.without_xattrs(meta.meta().clone()), path);
        let checksum = self.transaction.write_dirmeta(&DirMeta::new(changed)?)?;
        if !is_listed {
            self.metas.insert(*found, checksum);
        }
        Ok(checksum)
    }

    fn file(&mut self, found: &Checksum) -> Result<Checksum> {
        let mut object = self.transaction.repo().load_file(found)?;
        let meta = self.options.modify(self.without_xattrs(object.header.meta.clone()), &self.path);
        let header = FileHeader::new(meta, object.header.target.clone())?;
        if header == object.header {
            self.transaction.count_known_content()?;
            return Ok(*found);
        }
        match header.meta.is_symlink() {
            true => self.transaction.write_symlink(&header),
            false => self.transaction.write_file(&header, &mut object.content, object.size),
        }
    }

    fn without_xattrs(&self, meta: FileMeta) -> FileMeta {
        let drop = self.options.no_xattrs || self.options.canonical_permissions;
        FileMeta { xattrs: if drop { Xattrs::empty() } else { meta.xattrs }, ..meta }
    }
}
