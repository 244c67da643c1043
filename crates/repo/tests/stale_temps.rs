// SPDX-License-Identifier: MIT OR Apache-2.0
//! Left-overs in `tmp` go, whatever they are, and those that will not go are in nobody's way.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use std::fs::File;

use repo::{InitOptions, Mode, Repo};
use rustix::fs::{CWD, IFlags, Mode as Permissions, OFlags, ioctl_setflags, mkdirat, openat};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Left-overs may be deeper than a process has descriptors, and than a stack has room for.
#[test]
fn left_overs_of_any_depth_go() {
    const DEEP: usize = 20_000;
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(256), ..limit }).unwrap();
    // In memory where possible: with a journal so many directories take half a minute.
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let options = InitOptions { mode: Mode::Bare, collection_id: None };
    let repo = Repo::init(dir.path().join("repo"), &options).unwrap();
    let tmp = dir.path().join("repo/tmp");
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    for name in ["left", "retired-tree"] {
        std::fs::create_dir(tmp.join(name)).unwrap();
        let mut here = openat(CWD, tmp.join(name), flags, Permissions::empty()).unwrap();
        for _ in 0..DEEP {
            // No text.
            mkdirat(&here, &b"d\xff"[..], Permissions::RWXU).unwrap();
            here = openat(&here, &b"d\xff"[..], flags, Permissions::empty()).unwrap();
        }
        File::open(tmp.join(name)).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    }
    assert_eq!(repo.count_cached_directories().unwrap(), DEEP as u64 + 1);
    drop(repo.begin().unwrap());
    repo.trim_checkout_cache().unwrap();
    repo.remove_checkout_cache().unwrap();
    let left: Vec<_> = std::fs::read_dir(tmp).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["cache"]);
}

/// A left-over that cannot be removed is told, and keeps nobody from writing.
#[test]
fn what_will_not_go_stops_nobody() {
    test_world::needs_root!();
    let dir = tempfile::tempdir().unwrap();
    let options = InitOptions { mode: Mode::Bare, collection_id: None };
    let repo = Repo::init(dir.path().join("repo"), &options).unwrap();
    let left = dir.path().join("repo/tmp/left");
    std::fs::create_dir(&left).unwrap();
    let open = File::open(&left).unwrap();
    open.set_modified(std::time::UNIX_EPOCH).unwrap();
    std::fs::create_dir(left.join("below")).unwrap();
    open.set_modified(std::time::UNIX_EPOCH).unwrap();
    let below = File::open(left.join("below")).unwrap();
    ioctl_setflags(&below, IFlags::IMMUTABLE).unwrap();
    let begun = repo.begin().map(drop);
    ioctl_setflags(&below, IFlags::empty()).unwrap();
    begun.unwrap();
    assert!(left.exists());
}
