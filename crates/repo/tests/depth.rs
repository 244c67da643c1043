// SPDX-License-Identifier: MIT OR Apache-2.0
//! A tree that nests deeper than anything could use: an error and no overflow of the stack.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use std::path::Path;

use formats::object::{Commit, DirEntry, DirMeta, DirTree, FileMeta, ObjectType};
use repo::tree::Tree;
use repo::{CheckoutOptions, Entry, InitOptions, MAX_DEPTH, Mode, Repo};

#[test]
fn deep_trees_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let options = InitOptions { mode: Mode::Archive, collection_id: None };
    let repo = Repo::init(dir.path().join("repo"), &options).unwrap();
    let mut transaction = repo.begin().unwrap();
    let meta = FileMeta { uid: 0, gid: 0, mode: 0o40755, xattrs: Default::default() };
    let meta = transaction.write_dirmeta(&DirMeta::new(meta).unwrap()).unwrap();
    let mut trees = vec![
        transaction.write_metadata(ObjectType::DirTree, &DirTree::default().serialize().unwrap()).unwrap(),
    ];
    for _ in 0..MAX_DEPTH + 10 {
        let dirs = vec![DirEntry { name: "d", tree: *trees.last().unwrap(), meta }];
        let data = DirTree { files: Vec::new(), dirs }.serialize().unwrap();
        trees.push(transaction.write_metadata(ObjectType::DirTree, &data).unwrap());
    }
    let (deep, fine) = (*trees.last().unwrap(), trees[100]);
    let commits = [deep, fine].map(|tree| transaction.write_commit(&Commit::new(tree, meta)).unwrap());
    transaction.commit().unwrap();

    let check_out = |commit, name: &str| {
        let options = CheckoutOptions { user_mode: true, ..CheckoutOptions::default() };
        repo.checkout(&options, &dir.path().join(name), commit)
    };
    check_out(&commits[1], "fine").unwrap();
    assert!(dir.path().join("fine").join(Path::new("d/d/d")).is_dir());
    let too_deep =
        |error: anyhow::Error| assert!(format!("{error:#}").contains("nest deeper than"), "{error:#}");
    too_deep(check_out(&commits[0], "deep").unwrap_err());
    let entry = |tree| Entry::Dir { tree, meta };
    too_deep(repo.diff(entry(trees[0]), entry(deep)).unwrap_err());
    let mut overlaid = Tree::open(&repo, &deep, &meta).unwrap();
    // Equal trees need not be opened; one that differs at its bottom must be.
    overlaid.overlay(&repo, &trees[trees.len() - 2], &meta).unwrap_err();
}
