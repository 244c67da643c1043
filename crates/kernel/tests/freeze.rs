// SPDX-License-Identifier: MIT OR Apache-2.0
//! The freeze watchdog, on a file system of its own in a loop device. Needs root, `mkfs.ext4` and `mkfs.xfs`.
//!
//! A frozen file system hangs whoever writes to it, so nothing here writes: a second freeze says `EBUSY`.
//!
//! One of the tests loses a process with a file system frozen: that is this program again.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a case of this harness is no #[test] that clippy would know"
)]

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use kernel::freeze::{Watchdog, freeze, freeze_and_thaw, thaw};
use rustix::io::Errno;
use rustix::process::Signal;
use test_world::{Disk, as_root, run_trials};

/// Makes this program freeze the mount that follows, and die of the signal that follows.
const VICTIM: &str = "--freeze-and-die";

/// The signals that end it: of a crash, of Ctrl-C in the terminal, and of a service manager.
const SIGNALS: [(&str, Signal); 3] = [("KILL", Signal::KILL), ("INT", Signal::INT), ("TERM", Signal::TERM)];

const TESTS: [(&str, fn()); 5] = [
    ("freezes_and_thaws", freezes_and_thaws),
    ("leaves_the_freeze_of_another_alone", leaves_the_freeze_of_another_alone),
    ("thaws_when_the_parent_is_late_or_lets_go", thaws_when_the_parent_is_late_or_lets_go),
    ("thaws_what_is_frozen_after_its_patience_has_ended", thaws_what_is_frozen_after_its_patience_has_ended),
    ("thaws_when_the_parent_is_killed", thaws_when_the_parent_is_killed),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [VICTIM, mount, name] = arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        freeze_and_die(Path::new(mount), SIGNALS.iter().find(|(known, _)| *known == name).unwrap().1);
        return ExitCode::FAILURE;
    }
    run_trials(TESTS.into_iter().map(|(name, test)| as_root(name, test)).collect())
}

/// A file system of its own that is thawed in the end, whatever the test has left.
struct Mounted(Disk);

impl Mounted {
    fn root(&self) -> File {
        self.0.root()
    }

    fn path(&self) -> &Path {
        self.0.mount()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = thaw(self.root().as_fd());
    }
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
    for kind in ["ext4", "xfs"] {
        test(&Mounted(Disk::new(kind, 320)));
    }
}

fn freezes_and_thaws() {
    each_file_system(|mounted| {
        freeze_and_thaw(mounted.root().as_fd()).unwrap();
        assert!(!is_frozen(&mounted.root()));
    });
}

fn leaves_the_freeze_of_another_alone() {
    each_file_system(|mounted| {
        freeze(mounted.root().as_fd()).unwrap();
        assert_eq!(freeze_and_thaw(mounted.root().as_fd()), Err(Errno::BUSY));
        assert!(is_frozen(&mounted.root()));
    });
}

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

/// A freeze that waits for writers for longer than the watchdog's patience: its first thaw comes too early, and fails.
fn thaws_what_is_frozen_after_its_patience_has_ended() {
    each_file_system(|mounted| {
        let root = mounted.root();
        let watchdog = Watchdog::start(root.as_fd(), Duration::from_millis(50)).unwrap();
        std::thread::sleep(Duration::from_millis(400));
        freeze(root.as_fd()).unwrap();
        std::thread::sleep(Duration::from_millis(400));
        assert!(!is_frozen(&root), "the watchdog has given up before the freeze was there");
        watchdog.stop();

        // A parent that lets go without having frozen anything leaves no child behind.
        let watchdog = Watchdog::start(root.as_fd(), Duration::from_millis(50)).unwrap();
        std::thread::sleep(Duration::from_millis(200));
        drop(watchdog);
    });
}

fn thaws_when_the_parent_is_killed() {
    each_file_system(|mounted| {
        for (name, signal) in SIGNALS {
            let status = Command::new(std::env::current_exe().unwrap())
                .arg(VICTIM)
                .arg(mounted.path())
                .arg(name)
                .process_group(0)
                .status()
                .unwrap();
            assert_eq!(status.signal(), Some(signal.as_raw()), "{status}");
            assert!(wait_for_thaw(&mounted.root()), "{name}: the watchdog let the file system stay frozen");
        }
    });
}

/// The program that `thaws_when_the_parent_is_killed` runs and kills with its whole group, as a terminal does it.
fn freeze_and_die(mount: &Path, signal: Signal) {
    let root = File::open(mount).unwrap();
    let watchdog = Watchdog::start(root.as_fd(), Duration::from_secs(30)).unwrap();
    freeze(root.as_fd()).unwrap();
    rustix::process::kill_current_process_group(signal).unwrap();
    watchdog.stop();
}
