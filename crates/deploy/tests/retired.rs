// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tree of a deployment that goes is what the next one begins with.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use deploy::{Request, Step};
use rustix::fs::IFlags;
use test_world::World;
use test_world::disk::fill;

/// Room for trees of many directories, on a file system that states inodes.
fn world() -> World {
    World::on_small_disk(64)
}

fn retired(world: &World) -> PathBuf {
    world.root().join("ostree/repo/tmp/retired-tree")
}

fn inode(path: &Path) -> u64 {
    path.symlink_metadata().unwrap().ino()
}

/// A version with a file of its own, and `directories` that are the same in all.
fn commit(world: &World, version: usize, directories: usize) {
    world.commit("main", &version.to_string(), |tree| {
        fs::write(tree.join("usr/share-own"), format!("of version {version}")).unwrap();
        for number in 0..directories {
            fs::create_dir_all(tree.join(format!("usr/share/{number}"))).unwrap();
            fs::write(tree.join(format!("usr/share/{number}/file")), format!("{}", number % 100)).unwrap();
        }
    });
}

/// Three versions, one after the other. Where the tree of the first is then, and which inode it has.
fn three(world: &World, directories: usize) -> u64 {
    commit(world, 1, directories);
    world.deploy("main");
    let first = world.deployment(0);
    fs::write(first.join("etc/conf"), "local").unwrap();
    let inode = inode(&first);
    for version in [2, 3] {
        commit(world, version, directories);
        world.deploy("main");
    }
    assert!(!first.exists());
    inode
}

/// All names, what each is, and the inode that links share.
fn describe(path: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut left = vec![path.to_owned()];
    while let Some(at) = left.pop() {
        let meta = at.symlink_metadata().unwrap();
        let name = at.strip_prefix(path).unwrap().display();
        let own = meta.is_dir() || meta.nlink() == 1;
        found.insert(format!("{name} {:o} {}", meta.mode(), if own { 0 } else { meta.ino() }));
        if meta.is_dir() && name.to_string() != "etc" {
            left.extend(fs::read_dir(&at).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found
}

#[test]
fn the_tree_of_a_deployment_that_goes_is_what_the_next_one_begins_with() {
    test_world::needs_root!();
    let world = world();
    let first = three(&world, 10);
    assert_eq!(inode(&retired(&world)), first);
    assert!(retired(&world).join("usr/share/3/file").exists());
    for gone in ["etc", "usr/share-own"] {
        assert!(!retired(&world).join(gone).exists(), "{gone} is of that deployment alone");
    }
    commit(&world, 4, 10);
    world.deploy("main");
    let new = world.deployment(0);
    assert_eq!(inode(&new), first);
    assert_eq!(fs::read_to_string(new.join("usr/share-own")).unwrap(), "of version 4");
    assert_eq!(fs::read_to_string(new.join("etc/conf")).unwrap(), "local");
    let flags = rustix::fs::ioctl_getflags(fs::File::open(&new).unwrap().as_fd()).unwrap();
    assert!(flags.contains(IFlags::IMMUTABLE));
    // As one that begins with nothing.
    world.sysroot().repo().remove_checkout_cache().unwrap();
    world.deploy("main");
    assert_ne!(inode(&world.deployment(0)), first);
    assert_eq!(describe(&world.deployment(0)), describe(&new));
}

#[test]
fn what_was_broken_in_the_old_tree_is_whole_in_the_new_one() {
    test_world::needs_root!();
    let world = world();
    commit(&world, 1, 10);
    world.deploy("main");
    let tree = world.deployment(0);
    fs::remove_file(tree.join("usr/share/3/file")).unwrap();
    fs::write(tree.join("usr/share/3/file"), "somebody's").unwrap();
    fs::create_dir(tree.join("usr/local")).unwrap();
    fs::remove_dir_all(tree.join("usr/share/5")).unwrap();
    for version in [2, 3, 4] {
        commit(&world, version, 10);
        world.deploy("main");
    }
    let new = world.deployment(0);
    assert_eq!(fs::read_to_string(new.join("usr/share/3/file")).unwrap(), "3");
    assert!(!new.join("usr/local").exists() && new.join("usr/share/5/file").exists());
}

#[test]
fn a_cleanup_that_is_asked_for_removes_it() {
    test_world::needs_root!();
    let world = world();
    three(&world, 10);
    let sysroot = world.sysroot();
    let plan = deploy::plan(&sysroot, &Request::Cleanup).unwrap();
    let path = "/ostree/repo/tmp/retired-tree".to_owned();
    assert!(plan.steps.contains(&Step::Remove { path }));
    deploy::cleanup(&sysroot.lock(|| ()).unwrap()).unwrap();
    assert!(!retired(&world).exists());
    let sysroot = world.sysroot();
    deploy::undeploy(&sysroot.lock(|| ()).unwrap(), 1).unwrap();
    assert!(retired(&world).exists());
}

#[test]
fn nothing_is_kept_where_that_is_not_wanted() {
    test_world::needs_root!();
    let world = world();
    let config = world.root().join("ostree/repo/config");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text + "[sysroot]\nkeep-retired-tree=false\n").unwrap();
    three(&world, 10);
    assert!(!retired(&world).exists());
}

#[test]
fn nothing_is_kept_where_room_is_short() {
    test_world::needs_root!();
    let world = world();
    commit(&world, 1, 10);
    world.deploy("main");
    commit(&world, 2, 10);
    world.deploy("main");
    commit(&world, 3, 10);
    fill(&world.root(), 4 << 20);
    world.deploy("main");
    assert_eq!(world.menu().len(), 2);
    assert!(!retired(&world).exists());
}

#[test]
fn its_directories_count_as_room() {
    test_world::needs_root!();
    let world = world();
    three(&world, 3000);
    commit(&world, 4, 3000);
    // The directories of a tree take a block of 1 KiB each.
    let filler = fill(&world.root(), 2 << 20);
    world.sysroot().repo().remove_checkout_cache().unwrap();
    fs::remove_file(filler).unwrap();
    fill(&world.root(), 2 << 20);
    let error = world.try_deploy(&world.options("main")).unwrap_err();
    assert!(format!("{error:#}").starts_with("/ostree has "), "{error:#}");
    fs::remove_file(world.root().join("filler")).unwrap();
    world.deploy("main");
    assert!(retired(&world).exists());
    commit(&world, 5, 3000);
    fill(&world.root(), 2 << 20);
    world.deploy("main");
}
