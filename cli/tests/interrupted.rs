// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commits of which something is missing, and commits that were interrupted.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by unwrapping it")]

mod world;

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::Path;

fn fanout(object: &Path) -> String {
    object.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn prune_keeps_what_is_there_of_a_partial_commit() {
    let world = world::with_commit("bare-user");
    let commit = world.read("repo/refs/heads/main");
    world.write(&format!("repo/state/{}.commitpartial", commit.trim()), "");
    let before = world.objects("");
    world.ok("--repo=repo prune");
    world.ok("--repo=repo prune --refs-only");
    assert_eq!(world.objects(""), before);

    // The names in a missing directory are not known any more.
    std::fs::remove_file(world.objects(".dirtree").first().unwrap()).unwrap();
    world.ok("--repo=repo prune");
    assert_eq!(world.objects(".commit").len(), 1);
}

#[test]
fn a_commit_that_is_written_again_is_whole() {
    let world = world::with_commit("bare-user");
    let commit = world.read("repo/refs/heads/main");
    let mark = format!("repo/state/{}.commitpartial", commit.trim());
    world.write(&mark, "");
    let again = world.ok("--repo=repo commit --branch=main --parent=none tree");
    assert_eq!(again, commit);
    assert!(!world.path(&mark).exists());
    assert!(world.ok("--repo=repo fsck").contains("fsck of 1 commits"));
}

#[test]
fn an_interrupted_commit_is_not_there() {
    let world = world::with_commit("bare-user");
    let commit = fanout(world.objects(".commit").first().unwrap());
    let all: BTreeSet<String> = world.objects("").iter().map(|object| fanout(object)).collect();
    // Nothing can be moved into these, and one of them comes after the commit's own.
    let blocked: Vec<_> = all.into_iter().filter(|name| *name > commit).collect();
    assert!(!blocked.is_empty(), "the tree's checksums have to be chosen anew");
    world.ok("--repo=other init --mode=bare-user");
    for name in &blocked {
        symlink("nowhere", world.path(&format!("other/objects/{name}"))).unwrap();
    }
    world.fails("--repo=other commit --branch=main tree");
    let commits = std::fs::read_dir(world.path(&format!("other/objects/{commit}")));
    assert_eq!(commits.map_or(0, |found| found.filter(|f| is_commit(f.as_ref().unwrap())).count()), 0);
    assert!(!world.path("other/refs/heads/main").exists());

    for name in &blocked {
        std::fs::remove_file(world.path(&format!("other/objects/{name}"))).unwrap();
    }
    world.ok("--repo=other commit --branch=main tree");
    assert!(world.ok("--repo=other fsck").contains("no errors found"));
}

fn is_commit(entry: &std::fs::DirEntry) -> bool {
    entry.file_name().to_str().unwrap().ends_with(".commit")
}
