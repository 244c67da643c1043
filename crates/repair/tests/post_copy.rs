// SPDX-License-Identifier: MIT OR Apache-2.0
//! After a copy: which files fs-verity is asked for. The disk here has none, which is counted and no error.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use std::fs;

use repair::PostCopied;
use test_world::World;

#[test]
fn every_object_is_asked_for_where_the_repository_wants_it() {
    test_world::needs_root!();
    let world = World::on_small_disk(32);
    world.commit("main", "1", |_| ());
    world.deploy("main");
    let sysroot = world.sysroot();
    let lock = sysroot.lock(|| ()).unwrap();
    assert_eq!(repair::post_copy(&lock).unwrap(), PostCopied::default());
    drop(lock);

    let config = world.root().join("ostree/repo/config");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}[ex-integrity]\nfsverity=maybe\n")).unwrap();
    drop(sysroot);
    let objects = walk(&world.root().join("ostree/repo/objects"));
    let sysroot = world.sysroot();
    let lock = sysroot.lock(|| ()).unwrap();
    let done = repair::post_copy(&lock).unwrap();
    // Links have no contents that could be checked.
    assert_eq!(done, PostCopied { wanted: true, unsupported: objects, ..PostCopied::default() });
}

/// How many regular files there are that are objects of files.
fn walk(objects: &std::path::Path) -> u64 {
    let dirs = fs::read_dir(objects).unwrap().map(|dir| dir.unwrap().path());
    let files = dirs.flat_map(|dir| fs::read_dir(dir).unwrap()).map(|file| file.unwrap());
    let is_file = |file: &fs::DirEntry| {
        file.file_type().unwrap().is_file() && file.path().extension().is_some_and(|end| end == "file")
    };
    files.filter(is_file).count() as u64
}
