// SPDX-License-Identifier: MIT OR Apache-2.0
//! A disk without a free block, or without a free inode: looking, going back and cleaning up go on.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by unwrapping it")]

use std::fs;
use std::io::Write;
use std::path::Path;

use deploy::{DeployOptions, Edits};
use sysroot::{Lock, Retention, Sysroot};
use test_world::World;

/// Three deployments on a disk of their own.
fn three() -> World {
    let world = World::on_small_disk(64);
    for version in ["1", "2", "3"] {
        world.commit("main", version, |tree| {
            fs::write(tree.join("usr/lib/modules/6.1.0/vmlinuz"), format!("kernel {version}")).unwrap();
        });
        let retention = Retention { all: true, ..Retention::default() };
        world.try_deploy(&DeployOptions { retention, ..world.options("main") }).unwrap();
    }
    assert_eq!(versions(&world), ["3", "2", "1"]);
    world
}

fn versions(world: &World) -> Vec<String> {
    world.status().deployments.into_iter().map(|row| row.version.unwrap()).collect()
}

/// Writes until nothing more can be written, down to the last block.
fn fill_blocks(root: &Path) {
    let mut count = 0;
    for size in [1 << 20, 4096, 1024] {
        loop {
            let Ok(mut file) = fs::File::create(root.join(format!("filler-{size}-{count}"))) else { break };
            count += 1;
            if file.write_all(&vec![1; size]).and_then(|()| file.sync_all()).is_err() {
                break;
            }
        }
    }
    let fs = rustix::fs::statvfs(root).unwrap();
    assert_eq!(fs.f_bavail, 0, "there is still room");
}

/// Makes files until no more can be made.
fn fill_inodes(root: &Path) {
    let dir = root.join("filler");
    fs::create_dir(&dir).unwrap();
    let made = (0..).take_while(|n| fs::File::create(dir.join(n.to_string())).is_ok()).count();
    assert!(made > 1000);
    assert_eq!(rustix::fs::statvfs(root).unwrap().f_favail, 0, "there is still room");
}

type Change = fn(&Lock<'_>);

const CHANGES: [(&str, Change, &[&str]); 6] = [
    ("rollback", |lock| drop(deploy::rollback(lock).unwrap()), &["2", "3", "1"]),
    ("set-default", |lock| drop(deploy::set_default(lock, 2).unwrap()), &["1", "3", "2"]),
    ("undeploy", |lock| drop(deploy::undeploy(lock, 1).unwrap()), &["3", "1"]),
    ("cleanup", |lock| drop(deploy::cleanup(lock).unwrap()), &["3", "2", "1"]),
    (
        "pin",
        |lock| {
            let last = lock.sysroot().load().unwrap().deployments[2].clone();
            assert!(deploy::pin(lock, &last.path, true).unwrap());
            assert!(lock.sysroot().load().unwrap().deployments[2].origin.pinned());
        },
        &["3", "2", "1"],
    ),
    (
        "kargs",
        |lock| {
            let edits = Edits { append: vec!["a".to_owned()], ..Edits::default() };
            drop(deploy::edit_kernel_args(lock, Some(0), &edits).unwrap());
        },
        &["3", "2", "1"],
    ),
];

fn go_on(fill: fn(&Path)) {
    for (name, change, expected) in CHANGES {
        let world = three();
        fill(&world.root());
        assert_eq!(versions(&world), ["3", "2", "1"], "a status needs nothing");
        let sysroot = Sysroot::open_for_change(&world.root()).unwrap();
        let lock = sysroot.lock(|| ()).unwrap();
        change(&lock);
        drop(lock);
        drop(sysroot);
        assert_eq!(versions(&world), expected, "{name}");
        assert_eq!(world.status().notes, [], "{name}");
    }
}

#[test]
fn without_a_free_block() {
    test_world::needs_root!();
    go_on(fill_blocks);
}

#[test]
fn without_a_free_inode() {
    test_world::needs_root!();
    go_on(fill_inodes);
}

#[test]
fn with_neither() {
    test_world::needs_root!();
    go_on(|root| {
        fill_inodes(root);
        // A file alone may leave a block that is too few for it.
        for number in 0..8 {
            let mut file =
                fs::File::options().append(true).open(root.join(format!("filler/{number}"))).unwrap();
            while file.write_all(&[1; 1024]).is_ok() {}
            let _full = file.sync_all();
        }
        assert_eq!(rustix::fs::statvfs(root).unwrap().f_bavail, 0, "there is still room");
    });
}

/// Where it was used it is made again once there is room.
#[test]
fn the_reserve_comes_back() {
    test_world::needs_root!();
    let world = three();
    let reserve = world.root().join("ostree/.reserve");
    let files = || fs::read_dir(&reserve).map_or(0, Iterator::count);
    assert_eq!(files(), 48);
    fill_blocks(&world.root());
    let sysroot = world.sysroot();
    let lock = sysroot.lock(|| ()).unwrap();
    deploy::rollback(&lock).unwrap();
    assert_eq!(files(), 0);
    for entry in fs::read_dir(world.root()).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("filler") {
            fs::remove_file(path).unwrap();
        }
    }
    deploy::cleanup(&lock).unwrap();
    assert_eq!(files(), 48);
}
