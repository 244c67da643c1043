// SPDX-License-Identifier: MIT OR Apache-2.0
//! Holds `docs/architecture.md` against the workspace as cargo sees it, and the sources against its rules.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};
use xtask::Table;

/// The only crates that may go around the compiler's checks.
const UNSAFE_CRATES: [&str; 2] = ["crates/kernel", "crates/mounts"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .other_options(["--locked".to_owned()])
        .exec()
        .unwrap()
}

fn table() -> Table {
    Table::parse(&std::fs::read_to_string(root().join("docs/architecture.md")).unwrap()).unwrap()
}

/// Crate → what it names in `[dependencies]` and `[build-dependencies]`: of ours, and of others.
fn edges(metadata: &Metadata) -> BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> {
    let of = |package: &cargo_metadata::Package| {
        let built = package.dependencies.iter().filter(|edge| edge.kind != DependencyKind::Development);
        let (ours, others): (Vec<_>, Vec<_>) = built.partition(|edge| edge.path.is_some());
        let names =
            |edges: Vec<&cargo_metadata::Dependency>| edges.iter().map(|edge| edge.name.clone()).collect();
        (names(ours), names(others))
    };
    metadata.workspace_packages().into_iter().map(|package| (package.name.to_string(), of(package))).collect()
}

#[test]
fn every_crate_is_in_the_table_and_named_like_its_folder() {
    let table = table();
    let metadata = metadata();
    for package in metadata.workspace_packages() {
        let folder = package.manifest_path.parent().unwrap().strip_prefix(root()).unwrap();
        assert_eq!(folder.file_name(), Some(package.name.as_str()), "a crate is named like its folder");
        let listed = table.folders.get(package.name.as_str()).map(String::as_str);
        assert_eq!(listed, Some(folder.as_str()), "docs/architecture.md does not list {folder}/");
    }
    for folder in table.folders.values() {
        assert!(
            root().join(folder).is_dir(),
            "docs/architecture.md lists {folder}/, and there is no such folder"
        );
    }
}

#[test]
fn every_edge_is_allowed() {
    let table = table();
    for (name, (ours, _)) in edges(&metadata()) {
        let Some(allowed) = table.uses.get(&name) else { continue };
        let forbidden: Vec<&String> = ours.difference(allowed).collect();
        assert!(forbidden.is_empty(), "{name} uses {forbidden:?}, which docs/architecture.md does not allow");
    }
}

#[test]
fn no_circles_are_allowed() {
    let mut left = table().uses;
    while !left.is_empty() {
        let leaves: Vec<String> =
            left.iter().filter(|(_, uses)| uses.is_empty()).map(|(name, _)| name.clone()).collect();
        assert!(!leaves.is_empty(), "a circle among {:?}", left.keys());
        for leaf in leaves {
            left.remove(&leaf);
            for uses in left.values_mut() {
                uses.remove(&leaf);
            }
        }
    }
}

#[test]
fn the_crates_of_others_are_those_in_the_table() {
    let used: BTreeSet<String> = edges(&metadata()).into_values().flat_map(|(_, others)| others).collect();
    let known = table().crates_of_others;
    let unknown: Vec<&String> = used.difference(&known).collect();
    assert!(unknown.is_empty(), "add {unknown:?} to docs/architecture.md, with what for");
}

#[test]
fn unsafe_stays_in_its_crates() {
    // In two parts each: this file is one of those that are searched.
    let marks = [" {", " fn", " impl", " extern"].map(|rest| format!("unsafe{rest}"));
    let allow = concat!("allow(unsafe", "_code)");
    let mut searched = 0;
    for path in sources(&root()) {
        let name = path.strip_prefix(root()).unwrap();
        if UNSAFE_CRATES.iter().any(|allowed| name.starts_with(allowed)) {
            continue;
        }
        searched += 1;
        let text = std::fs::read_to_string(&path).unwrap();
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            let found = line.contains(allow) || marks.iter().any(|mark| line.contains(mark));
            assert!(!found, "{}: {line}", path.display());
        }
    }
    assert!(searched > 20, "only {searched} files were searched");
}

/// Every Rust file below a directory, what cargo built left out.
fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            found.extend(sources(&path));
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
    found
}
