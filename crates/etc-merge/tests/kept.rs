// SPDX-License-Identifier: MIT OR Apache-2.0
//! A merge keeps of somebody's file, beside its contents, its times and its holes.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::path::Path;

use etc_merge::{Plan, Target, Trees, copy_tree};
use formats::etc_policy::Policies;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

/// With nanoseconds.
const MOMENT: (i64, i64) = (981_173_106, 123_456_789);

fn date(path: &Path) {
    let time = Timespec { tv_sec: MOMENT.0, tv_nsec: MOMENT.1 };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

fn modified(path: &Path) -> (i64, i64) {
    let found = path.symlink_metadata().unwrap();
    (found.mtime(), found.mtime_nsec())
}

/// Merges `local`, which `change` has changed, into a copy of `usr`.
fn merge(into: Target, change: impl Fn(&Path)) -> tempfile::TempDir {
    let temp = tempfile::tempdir().unwrap();
    let at = |name: &str| temp.path().join(name);
    for name in ["usr", "local"] {
        fs::create_dir_all(at(name).join("both")).unwrap();
        fs::write(at(name).join("conf"), "default").unwrap();
        fs::write(at(name).join("untouched"), "default").unwrap();
    }
    change(&at("local"));
    let top = File::open(temp.path()).unwrap();
    copy_tree(top.as_fd(), c"usr", top.as_fd(), c"merged").unwrap();
    let open = |name: &str| File::open(at(name)).unwrap();
    let (usr, local, merged) = (open("usr"), open("local"), open("merged"));
    let trees = Trees { old: usr.as_fd(), local: local.as_fd(), new: usr.as_fd() };
    let plan = Plan::new(&trees, &Policies::default()).unwrap();
    plan.apply(&trees, merged.as_fd(), into).unwrap();
    temp
}

#[test]
fn local_files_directories_and_links_keep_their_time() {
    for into in [Target::Fresh, Target::InUse] {
        let paths =
            ["conf", "both/mine", "dir/sub/file", "dir/sub/link", "dir/sub", "dir/empty", "dir", "link"];
        let temp = merge(into, |local| {
            fs::write(local.join("conf"), "edited").unwrap();
            fs::write(local.join("both/mine"), "mine").unwrap();
            fs::create_dir_all(local.join("dir/sub")).unwrap();
            fs::create_dir(local.join("dir/empty")).unwrap();
            fs::write(local.join("dir/sub/file"), "mine").unwrap();
            symlink("file", local.join("dir/sub/link")).unwrap();
            symlink("conf", local.join("link")).unwrap();
            paths.iter().for_each(|path| date(&local.join(path)));
            date(&local.join("untouched"));
        });
        for path in paths {
            assert_eq!(modified(&temp.path().join("merged").join(path)), MOMENT, "{path}");
        }
        // It was not changed, so it is the update's.
        assert_ne!(modified(&temp.path().join("merged/untouched")), MOMENT);
    }
}

#[test]
fn a_sparse_file_stays_sparse() {
    /// In bytes.
    const SIZE: u64 = 64 << 20;
    let sparse = |path: &Path| {
        let file = File::create(path).unwrap();
        file.write_all_at(b"begin", 0).unwrap();
        file.write_all_at(b"middle", SIZE / 2).unwrap();
        file.set_len(SIZE).unwrap();
    };
    let temp = merge(Target::Fresh, |local| {
        sparse(&local.join("conf"));
        fs::create_dir(local.join("dir")).unwrap();
        sparse(&local.join("dir/sparse"));
        File::create(local.join("hole")).unwrap().set_len(SIZE).unwrap();
    });
    for name in ["conf", "dir/sparse", "hole"] {
        let (from, to) = (temp.path().join("local").join(name), temp.path().join("merged").join(name));
        assert_eq!(fs::read(&from).unwrap(), fs::read(&to).unwrap(), "{name}");
        let blocks = |path: &Path| path.metadata().unwrap().blocks();
        assert!(blocks(&from) <= 64, "the file system of the test has holes");
        assert!(blocks(&to) <= 64, "{name}: {} blocks", blocks(&to));
    }
}
