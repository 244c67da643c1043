// SPDX-License-Identifier: MIT OR Apache-2.0
//! The freeze watchdog, on a file system of its own in a loop device. Needs root, `mkfs.ext4` and `mkfs.xfs`.
//!
//! A frozen file system hangs whoever writes to it, so nothing here writes: a second freeze says `EBUSY`.
#![allow(clippy::unwrap_used, clippy::panic)] // the helpers of tests unwrap as the tests do

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use kernel::freeze::{Watchdog, freeze, freeze_and_thaw, thaw};
use rustix::io::Errno;

/// Names the mount for the process that is to die with it frozen.
const VICTIM: &str = "KERNEL_TEST_FREEZE_AND_DIE";

/// A file system in a sparse file, mounted until this is dropped.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn new(mkfs: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("image");
        File::create(&image).unwrap().set_len(320 << 20).unwrap();
        run(Command::new(mkfs[0]).args(&mkfs[1..]).arg(&image));
        std::fs::create_dir(dir.path().join("mnt")).unwrap();
        run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(dir.path().join("mnt")));
        Self(dir)
    }

    fn root(&self) -> File {
        File::open(self.0.path().join("mnt")).unwrap()
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("mnt")
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = thaw(self.root().as_fd());
        run(Command::new("umount").arg("--lazy").arg(self.path()));
    }
}

/// Unmounts are lazy: a test beside this one that is starting a process holds our descriptors for a moment.
fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Whether somebody has frozen it; leaves it as it was.
fn is_frozen(root: &File) -> bool {
    match freeze(root.as_fd()) {
        Ok(()) => {
            thaw(root.as_fd()).unwrap();
            false
        }
        Err(Errno::BUSY) => true,
        Err(err) => panic!("freezing: {err}"),
    }
}

/// Waits for what the watchdog does next; the bound is only there to end a failing test.
fn wait_for_thaw(root: &File) -> bool {
    (0..600).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        !is_frozen(root)
    })
}

fn each_file_system(test: impl Fn(&Mounted)) {
    for mkfs in [["mkfs.ext4", "-q"], ["mkfs.xfs", "-q"]] {
        test(&Mounted::new(&mkfs));
    }
}

#[test]
fn freezes_and_thaws() {
    each_file_system(|mounted| {
        freeze_and_thaw(mounted.root().as_fd()).unwrap();
        assert!(!is_frozen(&mounted.root()));
    });
}

#[test]
fn leaves_the_freeze_of_another_alone() {
    each_file_system(|mounted| {
        freeze(mounted.root().as_fd()).unwrap();
        assert_eq!(freeze_and_thaw(mounted.root().as_fd()), Err(Errno::BUSY));
        assert!(is_frozen(&mounted.root()));
    });
}

#[test]
fn thaws_when_the_parent_is_late_or_lets_go() {
    each_file_system(|mounted| {
        let root = mounted.root();
        let watchdog = Watchdog::start(root.as_fd(), Duration::from_millis(100)).unwrap();
        freeze(root.as_fd()).unwrap();
        assert!(wait_for_thaw(&root), "the watchdog did not run out of patience");
        watchdog.stop();

        let watchdog = Watchdog::start(root.as_fd(), Duration::from_secs(30)).unwrap();
        freeze(root.as_fd()).unwrap();
        drop(watchdog);
        assert!(!is_frozen(&root));
    });
}

#[test]
fn thaws_when_the_parent_is_killed() {
    each_file_system(|mounted| {
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "victim", "--ignored"])
            .env(VICTIM, mounted.path())
            .status()
            .unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{status}");
        assert!(wait_for_thaw(&mounted.root()), "the watchdog let the file system stay frozen");
    });
}

/// Not a test by itself: what `thaws_when_the_parent_is_killed` runs and loses.
#[test]
#[ignore = "the process that dies in thaws_when_the_parent_is_killed"]
fn victim() {
    let Some(mount) = std::env::var_os(VICTIM) else { return };
    let root = File::open(Path::new(&mount)).unwrap();
    let watchdog = Watchdog::start(root.as_fd(), Duration::from_secs(30)).unwrap();
    freeze(root.as_fd()).unwrap();
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
    watchdog.stop();
}
