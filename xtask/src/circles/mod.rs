// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rule that files of a crate do not use each other in a circle.
//!
//! An edge leads from a file to the file that defines a name it uses, through every re-export. A `pub use` is no use, so a
//! parent that only declares and re-exports its children has no edges to them. Modules for tests alone are left out.
//! Methods are not followed: their names do not tell the type.

mod knots;
mod names;
mod source;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use cargo_metadata::MetadataCommand;
use fn_error_context::context;

use crate::workspace::Workspace;
use knots::knots;
use source::Tree;

/// Checks every target of every crate.
///
/// # Errors
/// A circle, with the names that make it; a file that does not parse.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let metadata = MetadataCommand::new()
        .manifest_path(workspace.root.join("Cargo.toml"))
        .no_deps()
        .other_options(["--locked".to_owned()])
        .exec()
        .context("Asking cargo for the crates")?;
    let mut told = String::new();
    for package in metadata.workspace_packages() {
        for target in &package.targets {
            told += &circles_of(target.src_path.as_std_path(), &workspace.root)?;
        }
    }
    if told.is_empty() {
        return Ok(());
    }
    bail!("{told}");
}

/// The circles below one root file, as lines that begin with a line break; empty when there is none.
#[context("Reading the modules of {}", root.display())]
fn circles_of(root: &Path, top: &Path) -> Result<String> {
    let edges = names::edges(&Tree::read(root)?);
    let shown = |path: &PathBuf| path.strip_prefix(top).unwrap_or(path).display().to_string();
    let mut told = String::new();
    for knot in knots(&edges) {
        told += &format!("\n{} files in a circle:", knot.len());
        for ((from, to), names) in
            edges.iter().filter(|((from, to), _)| knot.contains(from) && knot.contains(to))
        {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            told += &format!("\n  {} -> {} ({})", shown(from), shown(to), names.join(", "));
        }
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes files below a directory and returns the circles below its `lib.rs`.
    fn circles(files: &[(&str, &str)]) -> String {
        let top = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = top.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        circles_of(&top.path().join("lib.rs"), top.path()).unwrap()
    }

    #[test]
    fn a_circle_is_told_with_its_names() {
        let told = circles(&[
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a.rs", "use crate::b::B; pub struct A(B); pub fn one() {}"),
            ("b.rs", "pub struct B; fn two() { println!(\"{}\", crate::c::three()); }"),
            ("c.rs", "use super::a; pub fn three() -> u8 { a::one(); 3 }"),
        ]);
        assert_eq!(
            told,
            "\n3 files in a circle:\n  a.rs -> b.rs (B)\n  b.rs -> c.rs (three)\n  c.rs -> a.rs (one)"
        );
    }

    #[test]
    fn a_tree_without_a_circle() {
        let told = circles(&[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b; pub fn one() { b::two(); }"),
            ("b.rs", "use std::path::Path; pub fn two() -> u8 { let a = 1; a }"),
        ]);
        assert_eq!(told, "");
    }

    #[test]
    fn a_parent_that_only_re_exports_is_no_part() {
        let told = circles(&[
            ("lib.rs", "mod a;"),
            ("a/mod.rs", "mod b; mod c; pub use b::B; pub(crate) use c::*;"),
            ("a/b.rs", "pub struct B;"),
            ("a/c.rs", "use super::B; pub struct C(crate::a::B);"),
        ]);
        assert_eq!(told, "");
    }

    #[test]
    fn a_parent_that_defines_something_is_one() {
        let told = circles(&[
            ("lib.rs", "mod a;"),
            ("a.rs", "mod b; pub use b::B; pub struct A; fn f() -> B { B }"),
            ("a/b.rs", "use super::A; pub struct B; fn g(_: A) {}"),
        ]);
        assert_eq!(told, "\n2 files in a circle:\n  a/b.rs -> a.rs (A)\n  a.rs -> a/b.rs (B)");
    }

    #[test]
    fn a_re_export_is_followed_to_the_file_that_defines() {
        let told = circles(&[
            ("lib.rs", "mod a; mod b; pub use a::A; pub mod names { pub use crate::b::*; }"),
            ("a.rs", "pub struct A; fn f() { crate::names::two() }"),
            ("b.rs", "pub fn two() { crate::A; }"),
        ]);
        assert_eq!(told, "\n2 files in a circle:\n  a.rs -> b.rs (two)\n  b.rs -> a.rs (A)");
    }

    #[test]
    fn modules_of_tests_do_not_count() {
        let told = circles(&[
            ("lib.rs", "mod a; mod b; #[cfg(test)] mod gone;"),
            ("a.rs", "pub struct A; #[cfg(test)] mod tests { use crate::b::B; fn f(_: B) {} }"),
            ("b.rs", "use crate::a::A; pub struct B(A); #[cfg(all(test, unix))] fn g() { crate::gone::x() }"),
        ]);
        assert_eq!(told, "");
    }
}
