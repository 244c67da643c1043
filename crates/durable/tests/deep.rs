// SPDX-License-Identifier: MIT OR Apache-2.0
//! Trees that are deeper than a process has descriptors, a stack has room, and a path may be long.
#![allow(clippy::unwrap_used, reason = "the helpers of tests unwrap as the tests do")]

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use durable::{Descent, Mounts, Removal, Walk, remove_tree, shown};
use rustix::fs::{FileType, Mode, OFlags, mkdirat, openat};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Far beyond what any limit allows.
const DEEP: usize = 20_000;

/// The smallest usual limit.
const DESCRIPTORS: u64 = 256;

/// In memory where possible: on a disk with a journal tens of thousands of directories take half a minute.
fn world() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn limit_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(DESCRIPTORS), ..limit }).unwrap();
}

fn open(at: impl AsFd, name: &str) -> OwnedFd {
    openat(at, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap()
}

/// A chain of directories `d`, each with a file beside the next one.
fn make_deep(top: &Path, depth: usize) {
    let mut here = open(rustix::fs::CWD, top.to_str().unwrap());
    for _ in 0..depth {
        mkdirat(&here, "d", Mode::RWXU).unwrap();
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
        openat(&here, "file", flags, Mode::RUSR | Mode::WUSR).unwrap();
        here = open(&here, "d");
    }
}

/// In a thread, whose stack has 2 MiB.
fn in_a_thread<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(run).join().unwrap())
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn a_deep_tree_is_removed() {
    limit_descriptors();
    let temp = world();
    std::fs::create_dir_all(temp.path().join("tree/beside")).unwrap();
    make_deep(&temp.path().join("tree"), DEEP);
    let top = open(rustix::fs::CWD, temp.path().to_str().unwrap());
    let removal = in_a_thread(|| remove_tree(top.as_fd(), "tree").unwrap());
    assert_eq!(removal, Removal { removed: 2 * DEEP as u64 + 2, failed: vec![] });
}

#[test]
fn a_deep_tree_is_walked_with_few_descriptors() {
    limit_descriptors();
    let temp = world();
    make_deep(temp.path(), DEEP);
    let top = open(rustix::fs::CWD, temp.path().to_str().unwrap());
    let (mut files, mut directories, mut most) = (0, 0, 0);
    in_a_thread(|| {
        let mut walk = Walk::new(&top, Mounts::Enter).unwrap();
        while let Some(seen) = walk.next().unwrap() {
            match seen.kind {
                FileType::Directory => directories += 1,
                _ => files += 1,
            }
            if directories % 1000 == 0 {
                most = most.max(open_descriptors());
            }
            assert!(rustix::fs::statat(seen.dir(), &seen.name, rustix::fs::AtFlags::empty()).is_ok());
        }
    });
    assert_eq!((files, directories), (DEEP, DEEP));
    assert!(most < 100, "{most}");
    remove_tree(top.as_fd(), "d").unwrap();
}

#[test]
fn a_walk_comes_back_to_the_neighbours_of_what_was_deep() {
    let temp = world();
    // Below each of the three a chain that is deeper than what stays open.
    for name in ["a", "b", "c"] {
        std::fs::create_dir(temp.path().join(name)).unwrap();
        make_deep(&temp.path().join(name), 100);
        std::fs::create_dir(temp.path().join(name).join("z")).unwrap();
        std::fs::write(temp.path().join(name).join("z/last"), "").unwrap();
    }
    let mut walk = Walk::new(open(rustix::fs::CWD, temp.path().to_str().unwrap()), Mounts::Keep).unwrap();
    let mut found = Vec::new();
    while let Some(seen) = walk.next().unwrap() {
        found.push(seen.path());
        assert!(temp.path().join(seen.path()).exists());
    }
    assert_eq!(found.len(), 3 * (1 + 200 + 2));
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 3 * (1 + 200 + 2), "each once");
}

#[test]
fn what_is_moved_away_on_the_way_is_not_taken_for_the_way_back() {
    let temp = world();
    let at = |path: &str| temp.path().join(path);
    std::fs::create_dir_all(at("top/a")).unwrap();
    std::fs::create_dir_all(at("elsewhere/secret")).unwrap();
    make_deep(&at("top/a"), 80);
    let mut descent = Descent::new(open(rustix::fs::CWD, at("top").to_str().unwrap()), Mounts::Keep).unwrap();
    descent.enter(c"a").unwrap();
    for _ in 0..80 {
        descent.enter(c"d").unwrap();
    }
    assert_eq!((descent.depth(), descent.path().components().count()), (81, 81));
    // At 11 directories below `a` something is moved; what is above that is closed by now.
    let chain = |n: usize| "d/".repeat(n);
    std::fs::rename(at(&format!("top/a/{}", chain(11))), at("elsewhere/moved")).unwrap();
    let mut last = descent.depth();
    while descent.leave().is_some() {
        assert!(descent.depth() < last);
        last = descent.depth();
        let here = rustix::fs::fstat(descent.here()).unwrap();
        let moved = 12..=last;
        if !moved.contains(&last) {
            let there = rustix::fs::stat(at("top").join(descent.path())).unwrap();
            assert_eq!((here.st_dev, here.st_ino), (there.st_dev, there.st_ino), "at {last}");
        }
        assert_ne!(here.st_ino, rustix::fs::stat(at("elsewhere")).unwrap().st_ino);
    }
    assert_eq!((descent.depth(), descent.path()), (0, Path::new("")));
}

#[test]
fn messages_about_deep_paths_stay_short() {
    let short = Path::new("etc/some/file");
    assert_eq!(shown(short), short);
    let deep: std::path::PathBuf = (0..DEEP).map(|n| format!("n{n}")).collect();
    let text = shown(&deep).display().to_string();
    assert!(text.len() < 1100 && text.starts_with("n0/n1/") && text.ends_with("/n19999"), "{text}");
    assert!(text.contains(" directories)/"), "{text}");
    let names: Vec<CString> = vec![CString::new("x".repeat(255)).unwrap(); 8];
    let wide: std::path::PathBuf = names.iter().map(|name| name.to_str().unwrap()).collect();
    assert!(shown(&wide).as_os_str().len() < 1300);
}
