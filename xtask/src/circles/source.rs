// SPDX-License-Identifier: MIT OR Apache-2.0
//! The modules below a root file, read with syn: which names each declares, imports and uses.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use syn::ext::IdentExt as _;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree, Visibility};

/// The segments of a path, without generic arguments.
pub(super) type Segments = Vec<String>;

/// One module; several share a file when they stand between braces in it.
#[derive(Debug, Default)]
pub(super) struct Module {
    /// Its place in the [`Tree`] above it; its own for the root.
    pub(super) parent: usize,
    pub(super) file: PathBuf,
    pub(super) children: BTreeMap<String, usize>,
    /// Types, functions, traits, constants and macros that it declares.
    pub(super) items: BTreeSet<String>,
    pub(super) imports: Vec<Import>,
    /// Every path in its code, imports left out.
    pub(super) paths: BTreeSet<Segments>,
}

/// One name of a `use`, or one of its stars.
#[derive(Debug)]
pub(super) struct Import {
    /// The name in this module; none for a star.
    pub(super) name: Option<String>,
    pub(super) path: Segments,
    /// Whether it has a `pub` of any extent.
    pub(super) is_re_export: bool,
}

/// All modules of a target. The first is the root.
pub(super) struct Tree {
    pub(super) modules: Vec<Module>,
}

impl Tree {
    /// Reads a root file and every file that its modules name.
    ///
    /// # Errors
    /// A file that is not there or does not parse.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut tree = Self { modules: Vec::new() };
        let dir = root.parent().context("a root file without a directory")?;
        tree.add_file(None, root, dir)?;
        Ok(tree)
    }

    /// `dir` is where files of child modules are.
    fn add_file(&mut self, parent: Option<usize>, file: &Path, dir: &Path) -> Result<usize> {
        let text = std::fs::read_to_string(file).with_context(|| format!("Reading {}", file.display()))?;
        let parsed = syn::parse_file(&text).with_context(|| format!("Parsing {}", file.display()))?;
        self.add(parent, file, dir, &parsed.items)
    }

    fn add(&mut self, parent: Option<usize>, file: &Path, dir: &Path, items: &[Item]) -> Result<usize> {
        let this = self.modules.len();
        let parent = parent.unwrap_or(this);
        self.modules.push(Module { parent, file: file.to_owned(), ..Module::default() });
        let mut reader = Reader::default();
        for item in items {
            reader.visit_item(item);
            if let Item::Mod(child) = item
                && !is_for_tests(&child.attrs)
            {
                let name = child.ident.unraw().to_string();
                let below = dir.join(&name);
                let added = match &child.content {
                    Some((_, items)) => self.add(Some(this), file, &below, items)?,
                    None => {
                        let (file, below) = file_of(child, dir, &below);
                        self.add_file(Some(this), &file, &below)?
                    }
                };
                reader.module.children.insert(name, added);
            }
        }
        self.modules[this] = Module { parent, file: file.to_owned(), ..reader.module };
        Ok(this)
    }
}

/// The file of `mod name;` and the directory of its children.
fn file_of(module: &syn::ItemMod, dir: &Path, below: &Path) -> (PathBuf, PathBuf) {
    for attribute in &module.attrs {
        if let syn::Meta::NameValue(pair) = &attribute.meta
            && pair.path.is_ident("path")
            && let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(name), .. }) = &pair.value
        {
            let file = dir.join(name.value());
            let beside = file.parent().unwrap_or(dir).to_owned();
            return (file, beside);
        }
    }
    let folder = below.join("mod.rs");
    let file = if folder.is_file() { folder } else { below.with_extension("rs") };
    (file, below.to_owned())
}

/// Whether `#[cfg(test)]` or a condition that needs it stands before an item.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.meta.require_list().is_ok_and(|list| {
                let condition = list.tokens.to_string();
                condition == "test" || condition.starts_with("all") && condition.contains("test")
            })
    })
}

/// Collects the names of one module; what is in child modules is theirs.
#[derive(Default)]
struct Reader {
    module: Module,
}

impl Reader {
    fn import(&mut self, tree: &UseTree, before: &[String], is_re_export: bool) {
        let with = |name: &syn::Ident| [before, &[name.unraw().to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.import(&path.tree, &with(&path.ident), is_re_export),
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.import(tree, before, is_re_export));
            }
            UseTree::Glob(_) => {
                self.module.imports.push(Import { name: None, path: before.to_vec(), is_re_export });
            }
            UseTree::Name(name) if name.ident == "self" => {
                let import = Import { name: before.last().cloned(), path: before.to_vec(), is_re_export };
                self.module.imports.push(import);
            }
            UseTree::Name(name) => {
                let import = Import {
                    name: Some(name.ident.unraw().to_string()),
                    path: with(&name.ident),
                    is_re_export,
                };
                self.module.imports.push(import);
            }
            UseTree::Rename(rename) => {
                let path = if rename.ident == "self" { before.to_vec() } else { with(&rename.ident) };
                let import = Import { name: Some(rename.rename.unraw().to_string()), path, is_re_export };
                self.module.imports.push(import);
            }
        }
    }

    /// Finds paths among tokens, as in the arguments of a macro. What follows a dot is a field or a method.
    fn tokens(&mut self, tokens: proc_macro2::TokenStream) {
        use proc_macro2::TokenTree;
        let mut path = Segments::new();
        let mut colons = 0;
        let mut after_dot = false;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.end(&mut path);
                    }
                    if !after_dot {
                        path.push(ident.unraw().to_string());
                    }
                    (colons, after_dot) = (0, false);
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' && colons < 2 => colons += 1,
                other => {
                    self.end(&mut path);
                    after_dot = matches!(&other, TokenTree::Punct(mark) if mark.as_char() == '.');
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.end(&mut path);
    }

    fn end(&mut self, path: &mut Segments) {
        if !path.is_empty() {
            self.module.paths.insert(std::mem::take(path));
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        if is_for_tests(attributes(item)) {
            return;
        }
        if let Some(name) = declared(item) {
            self.module.items.insert(name.unraw().to_string());
        }
        match item {
            Item::Mod(_) => {}
            Item::Use(import) => {
                let is_re_export = !matches!(import.vis, Visibility::Inherited);
                self.import(&import.tree, &[], is_re_export);
            }
            other => visit::visit_item(self, other),
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !is_for_tests(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.module
            .paths
            .insert(path.segments.iter().map(|segment| segment.ident.unraw().to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        self.visit_path(&called.path);
        self.tokens(called.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let syn::Meta::List(list) = &attribute.meta {
            self.tokens(list.tokens.clone());
        }
    }

    fn visit_visibility(&mut self, _: &'ast Visibility) {
        // The `crate` or `super` in `pub(crate)` is no path to anything.
    }
}

fn declared(item: &Item) -> Option<&syn::Ident> {
    match item {
        Item::Const(item) => Some(&item.ident),
        Item::Enum(item) => Some(&item.ident),
        Item::Fn(item) => Some(&item.sig.ident),
        Item::Macro(item) => item.ident.as_ref(),
        Item::Static(item) => Some(&item.ident),
        Item::Struct(item) => Some(&item.ident),
        Item::Trait(item) => Some(&item.ident),
        Item::TraitAlias(item) => Some(&item.ident),
        Item::Type(item) => Some(&item.ident),
        Item::Union(item) => Some(&item.ident),
        _ => None,
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
