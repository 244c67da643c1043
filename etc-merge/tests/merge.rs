// SPDX-License-Identifier: MIT OR Apache-2.0
//! Merges of small trees, written as listings: `PATH=CONTENT` a file, `PATH/` a directory, `PATH>TARGET` a link.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use etc_merge::{Changes, Report, copy_tree};

fn write_tree(root: &Path, listing: &[&str]) {
    fs::create_dir_all(root).unwrap();
    for item in listing {
        if let Some(dir) = item.strip_suffix('/') {
            fs::create_dir_all(root.join(dir)).unwrap();
        } else if let Some((path, content)) = item.split_once('=') {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), content).unwrap();
        } else if let Some((path, target)) = item.split_once('>') {
            symlink(target, root.join(path)).unwrap();
        }
    }
}

fn read_tree(root: &Path) -> Vec<String> {
    fn walk(root: &Path, at: &Path, out: &mut Vec<String>) {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let kind = path.symlink_metadata().unwrap().file_type();
            if kind.is_dir() {
                out.push(format!("{name}/"));
                walk(root, &path, out);
            } else if kind.is_symlink() {
                out.push(format!("{name}>{}", fs::read_link(&path).unwrap().display()));
            } else {
                out.push(format!("{name}={}", fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let mut out = Vec::new();
    walk(root, root, &mut out);
    out.sort();
    out
}

/// Merges and returns what was changed, the tree, and the report.
fn merge(old: &[&str], current: &[&str], new: &[&str]) -> (Vec<String>, Vec<String>, Report) {
    let dir = tempfile::tempdir().unwrap();
    for (name, listing) in [("old", old), ("current", current), ("new", new)] {
        write_tree(&dir.path().join(name), listing);
    }
    let open = |name: &str| fs::File::open(dir.path().join(name)).unwrap();
    let top = open(".");
    copy_tree(top.as_fd(), c"new", top.as_fd(), c"merged").unwrap();
    let (old, current, merged) = (open("old"), open("current"), open("merged"));
    let changes = Changes::between(old.as_fd(), current.as_fd()).unwrap();
    let report = changes.apply(current.as_fd(), merged.as_fd()).unwrap();
    let listed = changes.list.iter().map(|c| format!("{} {}", c.what.letter(), c.path.display())).collect();
    (listed, read_tree(&dir.path().join("merged")), report)
}

#[test]
fn local_changes_win() {
    let (changes, tree, report) = merge(
        &["same=1", "edited=1", "gone=1", "dir/kept=1", "link>a"],
        &["same=1", "edited=2", "dir/kept=1", "dir/mine=1", "added/deep/file=1", "link>b"],
        &["same=2", "edited=3", "gone=2", "dir/kept=2", "dir/theirs=2", "link>a", "new=1"],
    );
    let added = ["A added", "A added/deep", "A added/deep/file"];
    assert_eq!(changes, [&added[..], &["A dir/mine", "M edited", "D gone", "M link"]].concat());
    assert_eq!(
        tree,
        [
            "added/",
            "added/deep/",
            "added/deep/file=1",
            "dir/",
            "dir/kept=2",
            "dir/mine=1",
            "dir/theirs=2",
            "edited=2",
            "link>b",
            "new=1",
            "same=2",
        ]
    );
    assert_eq!(report, Report::default());
}

#[test]
fn a_missing_parent_is_made_again() {
    let (_, tree, report) = merge(&["a/b/old=1"], &["a/b/old=1", "a/b/mine=1"], &["other=1"]);
    assert_eq!(tree, ["a/", "a/b/", "a/b/mine=1", "other=1"]);
    assert_eq!(report, Report::default());
}

#[test]
fn added_on_both_sides_is_merged_inside() {
    let (_, tree, report) = merge(&[], &["d/mine=1", "d/both=local"], &["d/theirs=1", "d/both=new"]);
    assert_eq!(tree, ["d/", "d/both=local", "d/mine=1", "d/theirs=1"]);
    assert_eq!(report, Report::default());
}

#[test]
fn a_clash_is_told_and_the_rest_goes_on() {
    let (_, tree, report) = merge(
        &["conf=1", "dir/x=1", "z=1"],
        &["conf=2", "dir/x=2", "z=2"],
        &["conf/new=1", "dir=now a file", "z=3"],
    );
    assert_eq!(tree, ["conf/", "conf/new=1", "dir=now a file", "z=2"]);
    let clashing: Vec<_> = report.clashes.iter().map(|clash| clash.path.to_str().unwrap()).collect();
    assert_eq!(clashing, ["conf", "dir/x"]);
}

#[test]
fn a_link_in_the_new_tree_is_never_followed() {
    let outside = tempfile::tempdir().unwrap();
    let link = format!("dir>{}", outside.path().display());
    let (_, tree, report) = merge(&["dir/x=1"], &["dir/x=2"], &[&link]);
    assert_eq!(tree, [link.as_str()]);
    assert_eq!(report.clashes.len(), 1);
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn a_change_of_kind_is_carried_over() {
    let (changes, tree, _) =
        merge(&["a=1", "b/", "c>x"], &["a/in=1", "b=file", "c=file"], &["a=2", "b/", "c>y"]);
    assert_eq!(changes, ["M a", "M b", "M c"]);
    assert_eq!(tree, ["a/", "a/in=1", "b=file", "c=file"]);
}

#[test]
fn modes_count_and_sockets_do_not() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["old", "current", "new"] {
        write_tree(&dir.path().join(name), &["f=1"]);
    }
    let mode = |name: &str| dir.path().join(name).join("f").metadata().unwrap().permissions().mode() & 0o7777;
    fs::set_permissions(dir.path().join("current/f"), fs::Permissions::from_mode(0o600)).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("current/socket")).unwrap();
    let open = |name: &str| fs::File::open(dir.path().join(name)).unwrap();
    let (old, current, new) = (open("old"), open("current"), open("new"));
    let changes = Changes::between(old.as_fd(), current.as_fd()).unwrap();
    let report = changes.apply(current.as_fd(), new.as_fd()).unwrap();
    assert_eq!(mode("new"), 0o600);
    assert_eq!(report.skipped, [Path::new("socket")]);
    assert!(!dir.path().join("new/socket").exists());
}
