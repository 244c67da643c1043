// SPDX-License-Identifier: MIT OR Apache-2.0
//! A reader without journal replay, before and after `prove`: the image behind a mounted file system
//! is copied and the copy mounted without replay. Needs root, loop devices, and the mkfs of each file system.
#![allow(clippy::unwrap_used, clippy::panic)] // the helpers of tests unwrap as the tests do

use std::fs::File;
use std::os::fd::AsFd;

use durable::{Freezing, Method, Occasion, Proof, Reason, prove, push_xfs_log, push_xfs_log_on, switch_link};
use test_world::{Disk, needs_root};

/// The target of `loader` as the device has it.
fn without_replay(disk: &Disk) -> String {
    disk.look(false, |top| std::fs::read_link(top.join("loader")).unwrap().to_str().unwrap().to_owned())
}

/// Switches `loader` until the device still has the former target, and returns the new one.
///
/// This is the control: were the new link there before the proof, a test would show nothing. The kernel writes back
/// at moments of its own (xfs twice a minute), and one of them may fall between the switch and the look.
fn switch_unseen(disk: &Disk) -> &'static str {
    for (old, new) in [("loader.0", "loader.1"), ("loader.1", "loader.0")].into_iter().cycle().take(6) {
        assert!(prove(disk.root().as_fd(), Freezing::NotTheRoot).unwrap().is_proven());
        assert_eq!(without_replay(disk), old);
        switch_link(disk.root().as_fd(), "loader", new).unwrap();
        if without_replay(disk) == old {
            return new;
        }
    }
    panic!("{} needs no proof?", disk.kind());
}

fn seen_after_proof_only(kind: &'static str, mkfs_options: &[&str], method: Method) {
    let disk = Disk::with_options(kind, 320, mkfs_options);
    let root = disk.root();
    switch_link(root.as_fd(), "loader", "loader.0").unwrap();
    let target = switch_unseen(&disk);
    assert_eq!(prove(root.as_fd(), Freezing::NotTheRoot).unwrap(), Proof::Proven(method));
    assert_eq!(without_replay(&disk), target);
}

#[test]
fn ext4_is_proven_by_a_checkpoint() {
    needs_root!();
    seen_after_proof_only("ext4", &[], Method::Checkpoint);
}

#[test]
fn xfs_is_proven_by_a_freeze() {
    needs_root!();
    seen_after_proof_only("xfs", &[], Method::Freeze);
}

/// The part of the push that is done for the running root, for which this test has no xfs.
#[test]
fn the_log_of_an_xfs_is_pushed_without_a_freeze() {
    needs_root!();
    let disk = Disk::new("xfs", 320);
    let root = disk.root();
    switch_link(root.as_fd(), "loader", "loader.0").unwrap();
    for target in ["loader.1", "loader.0", "loader.1"] {
        switch_link(root.as_fd(), "loader", target).unwrap();
        assert!(push_xfs_log(root.as_fd()).unwrap(), "nothing moves the log of this kernel?");
        assert_eq!(without_replay(&disk), target);
    }
    let other = Disk::new("ext4", 320);
    assert!(!push_xfs_log(other.root().as_fd()).unwrap());
}

/// The one occasion that Linux 7 knows.
#[test]
fn the_log_of_an_xfs_is_pushed_by_dropping_caches_alone() {
    needs_root!();
    let disk = Disk::new("xfs", 320);
    let root = disk.root();
    for _ in 0..3 {
        switch_link(root.as_fd(), "loader", "loader.0").unwrap();
        let target = switch_unseen(&disk);
        assert!(push_xfs_log_on(Occasion::DroppedCaches, root.as_fd()).unwrap());
        assert_eq!(without_replay(&disk), target);
    }
}

#[test]
fn btrfs_is_proven_by_a_sync() {
    needs_root!();
    seen_after_proof_only("btrfs", &[], Method::Sync);
}

#[test]
fn ext4_without_a_journal_needs_a_sync_only() {
    needs_root!();
    let disk = Disk::with_options("ext4", 320, &["-O", "^has_journal"]);
    switch_link(disk.root().as_fd(), "loader", "loader.0").unwrap();
    assert_eq!(prove(disk.root().as_fd(), Freezing::NotTheRoot).unwrap(), Proof::Proven(Method::Sync));
}

#[test]
fn of_a_tmpfs_nothing_is_proven() {
    let root = File::open("/dev/shm").unwrap();
    let proof = prove(root.as_fd(), Freezing::NotTheRoot).unwrap();
    assert_eq!(proof, Proof::Unproven(Reason::FileSystem("tmpfs".to_owned())));
}

#[test]
fn a_frozen_file_system_is_reported() {
    needs_root!();
    let disk = Disk::new("xfs", 320);
    kernel::freeze::freeze(disk.root().as_fd()).unwrap();
    let proof = prove(disk.root().as_fd(), Freezing::NotTheRoot);
    kernel::freeze::thaw(disk.root().as_fd()).unwrap();
    assert_eq!(proof.unwrap(), Proof::Unproven(Reason::Frozen));
}
