// SPDX-License-Identifier: MIT OR Apache-2.0
//! Directories deeper than a process has descriptors and a stack has room stop neither a deployment, nor labels, nor a
//! cleanup.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use durable::{Descent, Mounts, remove_tree};
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use test_world::{STATEROOT, World};

const DEEP: usize = 20_000;

/// The smallest usual limit of descriptors.
const DESCRIPTORS: u64 = 256;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A chain of directories with a file in the last one.
fn chain(at: &Path) {
    let mut here: OwnedFd = openat(CWD, at, DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..DEEP {
        mkdirat(&here, "n", Mode::RWXU).unwrap();
        here = openat(&here, "n", DIRECTORY, Mode::empty()).unwrap();
    }
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
    openat(&here, "last", flags, Mode::RUSR).unwrap();
}

/// The end of it.
fn end(at: &Path) -> Descent {
    let mut descent = Descent::new(fs::File::open(at).unwrap(), Mounts::Keep).unwrap();
    while descent.enter(c"n").is_ok() {}
    descent
}

fn label_of_last(at: &Path) -> String {
    let end = end(at);
    let file = openat(end.here(), "last", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    let mut value = [0; 64];
    let length = rustix::fs::fgetxattr(&file, "security.selinux", &mut value).unwrap();
    String::from_utf8(value[..length].to_vec()).unwrap()
}

fn with_policy(tree: &Path) {
    let etc = tree.join("usr/etc/selinux");
    fs::create_dir_all(etc.join("targeted/contexts/files")).unwrap();
    fs::write(etc.join("config"), "SELINUX=enforcing\nSELINUXTYPE=targeted\n").unwrap();
    let contexts = "/.* default_t\n/etc(/.*)? etc_t\n/var(/.*)? var_t\n";
    fs::write(etc.join("targeted/contexts/files/file_contexts"), contexts).unwrap();
}

/// In a thread, whose stack has 2 MiB, and with few descriptors.
fn limited(run: impl FnOnce() + Send) {
    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(DESCRIPTORS), ..before }).unwrap();
    std::thread::scope(|scope| scope.spawn(run).join().unwrap());
    setrlimit(Resource::Nofile, before).unwrap();
}

#[test]
fn a_deep_etc_and_var_are_carried_labelled_and_removed() {
    test_world::needs_root!();
    let world = World::in_memory();
    world.commit("main", "1", |_| ());
    world.deploy("main");
    let (etc, var) =
        (world.deployment(0).join("etc"), world.root().join("ostree/deploy").join(STATEROOT).join("var"));
    chain(&etc);
    chain(&var);
    world.commit("main", "2", with_policy);
    limited(|| {
        let sysroot = world.sysroot();
        let changes = sysroot.etc_changes(Some(STATEROOT)).unwrap();
        assert_eq!(changes.list.len(), 32, "the last one stands for all that is in it");
        // Merges /etc, labels what came with it, and /var for the first time.
        world.deploy("main");
        let merged = world.deployment(0).join("etc");
        assert_eq!(end(&merged).depth(), DEEP);
        assert_eq!(label_of_last(&merged), "etc_t\0");
        assert_eq!(label_of_last(&var), "var_t\0");
    });
    let names = || fs::read_dir(etc.parent().unwrap().parent().unwrap()).unwrap().count();
    assert_eq!(names(), 4, "two deployments and their origins");
    limited(|| {
        // The first one goes with its /etc.
        world.commit("main", "3", with_policy);
        world.deploy("main");
    });
    assert!(!etc.exists());
    assert_eq!(names(), 4);
    // The standard library goes down by recursion.
    for dir in [world.deployment(0).join("etc"), world.deployment(1).join("etc"), var] {
        assert!(remove_tree(fs::File::open(dir).unwrap().as_fd(), "n").unwrap().is_complete());
    }
}

/// Each device tree is asked for by its path, and its directory is read once for all of them: with a thousand of them in one directory that
/// is a tenth of a second in place of a quarter of a minute.
#[test]
fn a_thousand_device_trees_are_found_at_once() {
    test_world::needs_root!();
    let world = World::new();
    let commit = world.commit("main", "1", |tree| {
        let dir = tree.join("usr/lib/modules/6.1.0/dtb/vendor");
        fs::create_dir_all(&dir).unwrap();
        (0..1000).for_each(|n| fs::write(dir.join(format!("{n}.dtb")), format!("{n}")).unwrap());
    });
    let repo = repo::Repo::open(world.root().join("ostree/repo")).unwrap();
    let begin = std::time::Instant::now();
    let tree = sysroot::commit_tree::CommitTree::open(&repo, &commit).unwrap();
    let found = bootloader::KernelFiles::find(&tree).unwrap();
    found.boot_checksum(&tree).unwrap();
    assert!(found.files.len() > 1000);
    assert!(begin.elapsed() < std::time::Duration::from_secs(5), "{:?}", begin.elapsed());
}
