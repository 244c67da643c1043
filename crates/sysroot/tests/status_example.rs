// SPDX-License-Identifier: MIT OR Apache-2.0
//! A client that shows the status needs this crate alone, and no privileges: the example `status`, on a root made by hand.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::Path;

use formats::Checksum;
use formats::gvariant::{DictBuilder, Value};
use formats::object::Commit;
use repo::commit::{TreeOptions, add_directory};
use repo::tree::Tree;
use repo::{InitOptions, Repo};

#[path = "../examples/status.rs"]
#[allow(dead_code, reason = "it has a main of its own")]
mod status;

fn shown(root: &Path) -> String {
    let mut out = Vec::new();
    status::show(root, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn commit(root: &Path, files: &Path) -> Checksum {
    let repo = Repo::open_at(fs::File::open(root).unwrap(), "ostree/repo").unwrap();
    let mut transaction = repo.begin().unwrap();
    let mut tree = Tree::new();
    let dir = fs::File::open(files).unwrap();
    add_directory(&mut transaction, &mut tree, dir.as_fd(), Path::new("."), &TreeOptions::default()).unwrap();
    let (tree, meta) = tree.write(&mut transaction).unwrap();
    let mut commit = Commit::new(tree, meta);
    let mut metadata = DictBuilder::new();
    metadata.insert("version", Value::string("7"));
    commit.metadata = metadata.build();
    let checksum = transaction.write_commit(&commit).unwrap();
    transaction.commit().unwrap();
    checksum
}

#[test]
fn a_root_from_empty_to_one_deployment() {
    let top = tempfile::tempdir().unwrap();
    let at = |path: &str| top.path().join(path);
    for dir in ["boot", "ostree/deploy"] {
        fs::create_dir_all(at(dir)).unwrap();
    }
    let options = InitOptions { mode: repo::Mode::Bare, collection_id: None };
    Repo::init_at(fs::File::open(top.path()).unwrap(), "ostree/repo", &options).unwrap();
    assert_eq!(shown(top.path()), "Next boot: there is no entry in the boot menu\n");

    let files = tempfile::tempdir().unwrap();
    fs::write(files.path().join("file"), "text").unwrap();
    let checksum = commit(top.path(), files.path());
    let boot_checksum = Checksum::of(b"kernel");
    fs::create_dir_all(at(&format!("ostree/deploy/os/deploy/{checksum}.0"))).unwrap();
    fs::create_dir_all(at(&format!("ostree/boot.1.1/os/{boot_checksum}"))).unwrap();
    symlink("boot.1.1", at("ostree/boot.1")).unwrap();
    let link = format!("../../../deploy/os/deploy/{checksum}.0");
    symlink(link, at(&format!("ostree/boot.1.1/os/{boot_checksum}/0"))).unwrap();
    fs::create_dir_all(at("boot/loader.1/entries")).unwrap();
    symlink("loader.1", at("boot/loader")).unwrap();
    let entry =
        format!("title T\nversion 1\nlinux /vmlinuz\noptions ostree=/ostree/boot.1/os/{boot_checksum}/0\n");
    fs::write(at("boot/loader.1/entries/ostree-1.conf"), entry).unwrap();
    assert_eq!(
        shown(top.path()),
        format!("  0: os {checksum}.0 (7)\nNext boot: it is first in the boot menu\n")
    );
}
