// SPDX-License-Identifier: MIT OR Apache-2.0
//! Trees that are deeper than a process has descriptors and a stack has room.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use durable::{Descent, Mounts, remove_tree};
use etc_merge::{Changes, Outcome, Plan, Report, Target, Trees, What, copy_tree};
use formats::etc_policy::Policies;
use rustix::fs::{Mode, OFlags, mkdirat, openat};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Far beyond what any limit allows.
const DEEP: usize = 20_000;
/// Beyond the descriptors and the longest path.
const LESS_DEEP: usize = 3_000;

/// The smallest usual limit of descriptors.
const DESCRIPTORS: u64 = 256;

/// Tests share the descriptors of their process: one world at a time.
static ALONE: Mutex<()> = Mutex::new(());

struct World {
    dir: tempfile::TempDir,
    depth: usize,
    _alone: MutexGuard<'static, ()>,
}

impl World {
    /// The trees `old`, `local`, `new`, each with something; and `merged`, which `new` is copied to later.
    fn new(depth: usize) -> Self {
        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(DESCRIPTORS), ..limit }).unwrap();
        // In memory where possible: on a disk with a journal tens of thousands of directories take half a minute.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let world = Self { dir, depth, _alone: alone };
        for name in ["old", "local", "new"] {
            fs::create_dir(world.at(name)).unwrap();
            fs::write(world.at(name).join("conf"), "1").unwrap();
        }
        world
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn open(&self, name: &str) -> fs::File {
        fs::File::open(self.at(name)).unwrap()
    }

    /// Makes a chain of directories in a tree, with a file in the last one.
    fn chain(&self, name: &str, content: &str) {
        let mut here: OwnedFd = self.open(name).into();
        for _ in 0..self.depth {
            mkdirat(&here, "d", Mode::RWXU).unwrap();
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            here = openat(&here, "d", flags, Mode::empty()).unwrap();
        }
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = openat(&here, "last", flags, Mode::RUSR).unwrap();
        rustix::io::write(file, content.as_bytes()).unwrap();
    }

    /// The contents of the file at the end of the chain.
    fn last(&self, name: &str) -> String {
        let mut descent = Descent::new(self.open(name), Mounts::Keep).unwrap();
        while descent.enter(c"d").is_ok() {}
        assert_eq!(descent.depth(), self.depth);
        let file = openat(descent.here(), "last", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        std::io::read_to_string(fs::File::from(file)).unwrap()
    }

    fn changes(&self) -> Changes {
        Changes::between(self.open("old").as_fd(), self.open("local").as_fd()).unwrap()
    }

    /// In a thread, whose stack has 2 MiB.
    fn merge(&self, target: Target) -> (Plan, Report) {
        let merge = || {
            if target == Target::Fresh {
                let top = self.open(".");
                copy_tree(top.as_fd(), c"new", top.as_fd(), c"merged").unwrap();
            }
            let (old, local, new) = (self.open("old"), self.open("local"), self.open("new"));
            let trees = Trees { old: old.as_fd(), local: local.as_fd(), new: new.as_fd() };
            let plan = Plan::new(&trees, &Policies::default()).unwrap();
            let report = plan.apply(&trees, self.open("merged").as_fd(), target).unwrap();
            (plan, report)
        };
        std::thread::scope(|scope| scope.spawn(merge).join().unwrap())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // The standard library removes them by recursion.
        for name in ["old", "local", "new", "merged"] {
            remove_tree(self.open(".").as_fd(), name).unwrap();
        }
    }
}

#[test]
fn what_is_deep_and_local_is_carried_over() {
    let world = World::new(DEEP);
    world.chain("local", "mine");
    let (plan, report) = world.merge(Target::Fresh);
    assert_eq!(report, Report::default());
    assert_eq!(world.last("merged"), "mine");
    // The last one that is listed stands for all that is in it.
    assert_eq!((plan.count(What::Added), plan.items.len()), (32, 32));
}

#[test]
fn what_is_the_same_is_no_change() {
    let world = World::new(LESS_DEEP);
    for name in ["old", "local", "new"] {
        world.chain(name, "1");
    }
    assert_eq!(world.changes(), Changes::default());
    let (plan, _) = world.merge(Target::Fresh);
    assert_eq!(plan, Plan::default());
    assert_eq!(world.last("merged"), "1");
}

#[test]
fn a_change_at_the_end_is_found_and_carried_over() {
    for target in [Target::Fresh, Target::InUse] {
        let world = World::new(DEEP);
        for (name, content) in [("old", "1"), ("local", "mine"), ("new", "1")] {
            world.chain(name, content);
        }
        if target == Target::InUse {
            fs::create_dir(world.at("merged")).unwrap();
            world.chain("merged", "1");
        }
        let (plan, report) = world.merge(target);
        assert_eq!(report, Report::default());
        let found: Vec<_> = plan.items.iter().map(|item| (item.outcome, item.path.iter().count())).collect();
        assert_eq!(found, [(Outcome::Kept, 32)]);
        assert_eq!(world.last("merged"), "mine");
        assert!(!world.at("merged").join(&plan.items[0].path).with_file_name(".#ostree-etc-merge").exists());
    }
}

#[test]
fn an_update_of_what_is_deep_arrives_unless_there_is_a_local_change() {
    let world = World::new(LESS_DEEP);
    for (name, content) in [("old", "1"), ("local", "1"), ("new", "2")] {
        world.chain(name, content);
    }
    let (plan, _) = world.merge(Target::Fresh);
    assert_eq!(plan.items.iter().map(|item| item.outcome).collect::<Vec<_>>(), [Outcome::Updated]);
    assert_eq!(world.last("merged"), "2");

    drop(world);
    let world = World::new(LESS_DEEP);
    for (name, content) in [("old", "1"), ("local", "mine"), ("new", "2")] {
        world.chain(name, content);
    }
    let (plan, _) = world.merge(Target::Fresh);
    assert_eq!(plan.items.iter().map(|item| item.outcome).collect::<Vec<_>>(), [Outcome::Conflict]);
    assert_eq!(world.last("merged"), "mine");
}

#[test]
fn what_is_deep_and_gone_is_gone() {
    let world = World::new(LESS_DEEP);
    world.chain("old", "1");
    world.chain("new", "1");
    let (plan, _) = world.merge(Target::Fresh);
    assert_eq!(plan.items.iter().map(|item| item.path.as_path()).collect::<Vec<_>>(), [Path::new("d")]);
    assert_eq!(plan.count(What::Removed), 1);
    assert!(!world.at("merged/d").exists());
}
