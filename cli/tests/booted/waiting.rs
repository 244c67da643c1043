// SPDX-License-Identifier: MIT OR Apache-2.0
//! A command that waits for a lock: seen by what it says or what the kernel says of it, not by how long it takes.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

/// How often the kernel is asked.
const PAUSE: Duration = Duration::from_millis(5);

/// A command that runs.
pub(crate) struct Started {
    child: Child,
    errors: BufReader<ChildStderr>,
    said: String,
}

impl Started {
    /// Starts a command.
    pub(crate) fn new(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let errors = BufReader::new(child.stderr.take().unwrap());
        Self { child, errors, said: String::new() }
    }

    /// Starts a command of ours that must come to wait for a lock, and comes back when it says so.
    pub(crate) fn ours_waits(command: Command) -> Self {
        let mut this = Self::new(command);
        while !this.said.contains("Waiting for ") {
            if this.errors.read_line(&mut this.said).unwrap() == 0 {
                panic!("it did not wait: {}", this.said);
            }
        }
        this
    }

    /// Starts a command of theirs that must come to wait for the lock on `file`, and comes back when it does.
    pub(crate) fn theirs_waits(command: Command, file: &Path) -> Self {
        let mut this = Self::new(command);
        while !waits_for(&this.child, file) {
            assert!(this.child.try_wait().unwrap().is_none(), "it did not wait: {}", this.ended().1);
            std::thread::sleep(PAUSE);
        }
        this
    }

    /// Waits until the command has succeeded, which it must, and gives what it has said.
    pub(crate) fn finish(self) -> String {
        let (succeeded, said) = self.ended();
        assert!(succeeded, "{said}");
        said
    }

    /// Waits until the command has ended: whether it has succeeded, and what it has said.
    pub(crate) fn ended(mut self) -> (bool, String) {
        self.errors.read_to_string(&mut self.said).unwrap();
        (self.child.wait().unwrap().success(), self.said)
    }
}

/// Whether the process has the file open and one of its threads is either blocked by a lock, or asleep until it tries
/// again.
fn waits_for(child: &Child, file: &Path) -> bool {
    let Ok(lock) = fs::metadata(file) else { return false };
    let process = Path::new("/proc").join(child.id().to_string());
    let list = |name: &str| fs::read_dir(process.join(name)).into_iter().flatten().flatten();
    let is_lock = |meta: fs::Metadata| (meta.dev(), meta.ino()) == (lock.dev(), lock.ino());
    let asleep = |place: String| place.ends_with("nanosleep") || place.starts_with("fcntl_");
    list("fd").any(|fd| fs::metadata(fd.path()).is_ok_and(is_lock))
        && list("task").any(|task| fs::read_to_string(task.path().join("wchan")).is_ok_and(asleep))
}
