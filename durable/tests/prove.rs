// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a reader without journal replay sees before and after `prove`: the image behind a mounted file system
//! is copied and the copy mounted without replay. Needs root, loop devices, and the mkfs of each file system.
#![allow(clippy::unwrap_used)] // the helpers of tests unwrap as the tests do

use std::fs::File;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::Command;

use durable::{Freezing, Method, Proof, Reason, prove, push_xfs_log, switch_link};

struct Disk {
    dir: tempfile::TempDir,
    kind: &'static str,
}

impl Disk {
    fn new(kind: &'static str, mkfs_options: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["mnt", "look"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        let disk = Self { dir, kind };
        File::create(disk.at("image")).unwrap().set_len(320 << 20).unwrap();
        run(Command::new(format!("mkfs.{kind}")).arg("-q").args(mkfs_options).arg(disk.at("image")));
        run(Command::new("mount").args(["-t", kind, "-o", "loop"]).arg(disk.at("image")).arg(disk.at("mnt")));
        disk
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn root(&self) -> File {
        File::open(self.at("mnt")).unwrap()
    }

    /// The target of `loader` as the device has it.
    fn without_replay(&self) -> String {
        let options = match self.kind {
            "ext4" => "loop,ro,noload",
            "xfs" => "loop,ro,norecovery,nouuid",
            _ => "loop,ro,rescue=nologreplay",
        };
        std::fs::copy(self.at("image"), self.at("copy")).unwrap();
        let mut mount = Command::new("mount");
        run(mount.args(["-t", self.kind, "-o", options]).arg(self.at("copy")).arg(self.at("look")));
        let target = std::fs::read_link(self.at("look/loader")).map(|t| t.to_str().unwrap().to_owned());
        run(Command::new("umount").arg("--lazy").arg(self.at("look")));
        target.unwrap()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run(Command::new("umount").arg("--lazy").arg(self.at("mnt")));
    }
}

/// Unmounts are lazy: a test beside this one that is starting a process holds our descriptors for a moment.
fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The control is the middle line: were the new link there before the proof, the test would show nothing.
fn seen_after_proof_only(kind: &'static str, mkfs_options: &[&str], method: Method) {
    let disk = Disk::new(kind, mkfs_options);
    let root = disk.root();
    switch_link(root.as_fd(), "loader", "loader.0").unwrap();
    assert!(prove(root.as_fd(), Freezing::NotTheRoot).unwrap().is_proven());
    assert_eq!(disk.without_replay(), "loader.0");

    switch_link(root.as_fd(), "loader", "loader.1").unwrap();
    assert_eq!(disk.without_replay(), "loader.0", "{kind} needs no proof?");

    assert_eq!(prove(root.as_fd(), Freezing::NotTheRoot).unwrap(), Proof::Proven(method));
    assert_eq!(disk.without_replay(), "loader.1");
}

#[test]
fn ext4_is_proven_by_a_checkpoint() {
    seen_after_proof_only("ext4", &[], Method::Checkpoint);
}

#[test]
fn xfs_is_proven_by_a_freeze() {
    seen_after_proof_only("xfs", &[], Method::Freeze);
}

/// What is done of the running root, which this test has no xfs for.
#[test]
fn the_log_of_an_xfs_is_pushed_without_a_freeze() {
    let disk = Disk::new("xfs", &[]);
    let root = disk.root();
    switch_link(root.as_fd(), "loader", "loader.0").unwrap();
    for target in ["loader.1", "loader.0", "loader.1"] {
        switch_link(root.as_fd(), "loader", target).unwrap();
        assert!(push_xfs_log(root.as_fd()).unwrap(), "the kernel has no laptop mode?");
        assert_eq!(disk.without_replay(), target);
    }
    let other = Disk::new("ext4", &[]);
    assert!(!push_xfs_log(other.root().as_fd()).unwrap());
}

#[test]
fn btrfs_is_proven_by_a_sync() {
    seen_after_proof_only("btrfs", &[], Method::Sync);
}

#[test]
fn ext4_without_a_journal_needs_a_sync_only() {
    let disk = Disk::new("ext4", &["-O", "^has_journal"]);
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
    let disk = Disk::new("xfs", &[]);
    kernel::freeze::freeze(disk.root().as_fd()).unwrap();
    let proof = prove(disk.root().as_fd(), Freezing::NotTheRoot);
    kernel::freeze::thaw(disk.root().as_fd()).unwrap();
    assert_eq!(proof.unwrap(), Proof::Unproven(Reason::Frozen));
}
