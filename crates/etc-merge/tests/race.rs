// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs that write to `/etc` while it is merged: the merge goes on.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use etc_merge::{Plan, Report, Target, Trees, What};
use formats::etc_policy::Policies;

/// The kinds that an entry may have at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Absent,
    File,
    Link,
    Directory,
    Pipe,
}

const KINDS: [Kind; 5] = [Kind::Absent, Kind::File, Kind::Link, Kind::Directory, Kind::Pipe];

fn clear(path: &Path) {
    let _ = fs::remove_file(path);
    let _ = fs::remove_dir_all(path);
}

fn make(path: &Path, kind: Kind) {
    clear(path);
    match kind {
        Kind::Absent => {}
        Kind::File => fs::write(path, "local").unwrap(),
        Kind::Link => symlink("elsewhere", path).unwrap(),
        Kind::Directory => {
            fs::create_dir(path).unwrap();
            fs::write(path.join("inside"), "local").unwrap();
        }
        Kind::Pipe => {
            let mode = rustix::fs::Mode::RUSR;
            rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        }
    }
}

fn kind(path: &Path) -> Kind {
    match path.symlink_metadata() {
        Err(_) => Kind::Absent,
        Ok(meta) if meta.is_dir() => Kind::Directory,
        Ok(meta) if meta.is_symlink() => Kind::Link,
        Ok(meta) if meta.is_file() => Kind::File,
        Ok(_) => Kind::Pipe,
    }
}

/// A directory with the trees `old`, `current` and `new`.
fn trees() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in ["old", "current", "new"] {
        fs::create_dir(dir.path().join(name)).unwrap();
        fs::write(dir.path().join(name).join("other"), name).unwrap();
    }
    dir
}

/// Every change of kind between the look and the copy. What counts is what is there when it is copied.
#[test]
fn what_changes_after_it_was_listed() {
    for listed in KINDS {
        for copied in KINDS {
            let dir = trees();
            let open = |name: &str| fs::File::open(dir.path().join(name)).unwrap();
            let (old, current, new, defaults) = (open("old"), open("current"), open("new"), open("old"));
            make(&dir.path().join("current/x"), listed);
            let trees = Trees { old: old.as_fd(), local: current.as_fd(), new: defaults.as_fd() };
            let plan = Plan::new(&trees, &Policies::default()).unwrap();
            make(&dir.path().join("current/x"), copied);
            let report = plan.apply(&trees, new.as_fd(), Target::Fresh).unwrap();
            let skipped = listed != Kind::Absent && copied == Kind::Pipe;
            assert_eq!((report.clashes.len(), report.skipped.len()), (0, usize::from(skipped)));
            // An entry that was not there yet was no change; a pipe is never copied.
            let expected = match (listed, copied) {
                (Kind::Absent, _) | (_, Kind::Pipe) => Kind::Absent,
                (_, copied) => copied,
            };
            assert_eq!(kind(&dir.path().join("new/x")), expected, "{listed:?} {copied:?}");
            let inside = fs::read_to_string(dir.path().join("new/x/inside")).unwrap_or_default();
            assert_eq!(inside == "local", expected == Kind::Directory, "{listed:?} {copied:?}");
            assert_eq!(fs::read_to_string(dir.path().join("new/other")).unwrap(), "current");
        }
    }
}

/// Exchanges two entries; one of them is not there for a moment.
fn rename_to_and_fro(one: &Path, other: &Path, absent: &Path) {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
    fs::rename(one, absent).unwrap();
    fs::rename(absent, one).unwrap();
}

/// A default that is replaced, removed and made again while everything is read, in each of some hundred merges.
#[test]
fn what_changes_all_the_time() {
    let dir = trees();
    for tree in ["old", "current", "new"] {
        for name in ["x", "d"] {
            make(&dir.path().join(tree).join(name), Kind::Directory);
        }
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // All kinds are there already, so that a change takes one call.
            let pool = dir.path().join("pool");
            fs::create_dir(&pool).unwrap();
            let mut places = vec![dir.path().join("current/x"), dir.path().join("current/d/inside")];
            for kind in [Kind::File, Kind::Link, Kind::Directory, Kind::Pipe] {
                places.push(pool.join(format!("{kind:?}")));
                make(places.last().unwrap(), kind);
            }
            let absent = pool.join("absent");
            while !done.load(Ordering::Relaxed) {
                for pair in places.windows(2) {
                    rename_to_and_fro(&pair[0], &pair[1], &absent);
                }
            }
        });
        let merge = || -> anyhow::Result<Report> {
            let open = |name: &str| fs::File::open(dir.path().join(name)).unwrap();
            let (old, current, new) = (open("old"), open("current"), open("new"));
            let trees = Trees { old: old.as_fd(), local: current.as_fd(), new: new.as_fd() };
            let plan = Plan::new(&trees, &Policies::default())?;
            clear(&dir.path().join("merged"));
            fs::create_dir(dir.path().join("merged")).unwrap();
            let merged = open("merged");
            let report = plan.apply(&trees, merged.as_fd(), Target::Fresh)?;
            assert!(plan.count(What::Modified) > 0, "`other` was edited");
            assert_eq!(fs::read_to_string(dir.path().join("merged/other")).unwrap(), "current");
            assert!(!dir.path().join("merged/.#ostree-etc-merge").exists());
            Ok(report)
        };
        let failed = (0..300).find_map(|_| merge().err());
        done.store(true, Ordering::Relaxed);
        assert!(failed.is_none(), "{:#}", failed.unwrap());
    });
}
