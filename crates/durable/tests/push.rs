// SPDX-License-Identifier: MIT OR Apache-2.0
//! The push of the log of an xfs on a kernel where laptop mode is a stub, as in Linux 7: a file lies over the switch, in a
//! mount namespace of this process. All in one test, for what is found out is remembered for the life of the process. Needs root.
#![allow(clippy::unwrap_used)] // the helpers of tests unwrap as the tests do

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use durable::{push_xfs_log, switch_link};
use test_world::run;

/// The namespace has a file there that takes every value and does nothing.
fn stub(dir: &Path, switch: &str) {
    let stub = dir.join(switch);
    std::fs::write(&stub, "0\n").unwrap();
    run(Command::new("mount").arg("--bind").arg(&stub).arg(format!("/proc/sys/vm/{switch}")));
}

#[test]
fn what_moves_nothing_is_noticed_within_a_second_and_remembered() {
    test_world::needs_root!();
    let temp = tempfile::tempdir().unwrap();
    kernel::mount_namespace::enter_new().unwrap();
    run(Command::new("mount").args(["--make-rprivate", "/"]));
    let (image, mount) = (temp.path().join("image"), temp.path().join("mnt"));
    File::create(&image).unwrap().set_len(320 << 20).unwrap();
    std::fs::create_dir(&mount).unwrap();
    run(Command::new("mkfs.xfs").arg("-q").arg(&image));
    run(Command::new("mount").args(["-t", "xfs", "-o", "loop"]).arg(&image).arg(&mount));
    let root = File::open(&mount).unwrap();
    let mut target = (0..2).cycle();
    let mut push = || {
        switch_link(root.as_fd(), "loader", &format!("loader.{}", target.next().unwrap())).unwrap();
        let begun = Instant::now();
        (push_xfs_log(root.as_fd()).unwrap(), begun.elapsed())
    };

    stub(temp.path(), "laptop_mode");
    let written = || std::fs::metadata(temp.path().join("laptop_mode")).unwrap().modified().unwrap();
    let before = written();
    let (pushed, _) = push();
    assert!(pushed, "no other way is tried");
    let tried = written();
    assert_ne!(tried, before, "the stub was not asked at all");
    assert!(push().0);
    assert_eq!(written(), tried, "the stub is asked again");

    stub(temp.path(), "drop_caches");
    let (pushed, took) = push();
    assert!(!pushed, "nothing can have moved the log");
    assert!(took < Duration::from_secs(2), "{took:?}");
    let (pushed, took) = push();
    assert!(!pushed);
    assert!(took < Duration::from_millis(250), "{took:?}: it is tried again");
    drop(root);
    run(Command::new("umount").arg("--lazy").arg(&mount));
}
