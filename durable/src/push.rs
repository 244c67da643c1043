// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bringing what the log of an xfs holds to its place, without freezing the file system.
//!
//! Xfs does this by itself every 30 seconds, in the background. One more occasion is `syncfs` in laptop mode: the disk is awake
//! then, so what would be done later is done at once (`vm.laptop_mode`,
//! <https://docs.kernel.org/admin-guide/laptops/laptop-mode.html>). Whether it was done shows in sysfs: the log's tail, which is
//! behind everything that is not in its place yet, has passed where its head was when we asked.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

/// The switch of laptop mode: 0 is off. It is for all of the machine, and changes nothing but when data is written.
const LAPTOP_MODE: &str = "/proc/sys/vm/laptop_mode";
/// How long the log may take. Much is in it after a new deployment.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the disk is given between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// Brings everything that was written to the xfs of `boot` so far to its place. `false` where the kernel or the
/// privileges do not allow that, or others write so much that it does not come to an end.
pub fn push_xfs_log(boot: BorrowedFd<'_>) -> Result<bool, Errno> {
    let Some(log) = log_directory(boot) else { return Ok(false) };
    let deadline = Instant::now() + PATIENCE;
    // What was changed again since the head was read moves with it: a second round is for that.
    for _ in 0..2 {
        rustix::fs::syncfs(boot)?;
        let Some(goal) = position(&log, "log_head_lsn") else { return Ok(false) };
        while position(&log, "log_tail_lsn").is_none_or(|tail| tail < goal) {
            if Instant::now() > deadline || !sync_in_laptop_mode(boot)? {
                return Ok(false);
            }
            write_something(boot)?;
            std::thread::sleep(PAUSE);
        }
    }
    // The last flush is before the record that has the tail; this is one behind it.
    write_something(boot)?;
    Ok(true)
}

/// What sysfs has about the log of a file system; nothing for one that is no xfs.
fn log_directory(boot: BorrowedFd<'_>) -> Option<PathBuf> {
    let device = rustix::fs::fstat(boot).ok()?.st_dev;
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let device = std::fs::read_link(format!("/sys/dev/block/{major}:{minor}")).ok()?;
    let log = Path::new("/sys/fs/xfs").join(device.file_name()?).join("log");
    log.is_dir().then_some(log)
}

/// A place in the log: how often it went round, and the block.
fn position(log: &Path, name: &str) -> Option<(u64, u64)> {
    parse_position(&std::fs::read_to_string(log.join(name)).ok()?)
}

fn parse_position(text: &str) -> Option<(u64, u64)> {
    let (cycle, block) = text.trim().split_once(':')?;
    Some((cycle.parse().ok()?, block.parse().ok()?))
}

/// `syncfs`, in laptop mode for as long as it takes. Says whether that was possible.
fn sync_in_laptop_mode(boot: BorrowedFd<'_>) -> Result<bool, Errno> {
    let Ok(switch) = File::options().read(true).write(true).open(LAPTOP_MODE) else { return Ok(false) };
    // Two at a time would take each other's value for the one to put back.
    rustix::fs::flock(&switch, FlockOperation::LockExclusive)?;
    let Ok(before) = std::fs::read(LAPTOP_MODE) else { return Ok(false) };
    if switch.write_all_at(b"1\n", 0).is_err() {
        return Ok(false);
    }
    let synced = rustix::fs::syncfs(boot);
    let _ = switch.write_all_at(&before, 0);
    synced.map(|()| true)
}

/// Makes xfs write a record to its log, which is when it looks where the tail is: a file without a name, so that no
/// directory changes.
fn write_something(boot: BorrowedFd<'_>) -> Result<(), Errno> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(boot, ".", flags, Mode::from_raw_mode(0o600))?;
    rustix::io::write(&file, b"x")?;
    rustix::fs::fsync(file.as_fd())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_in_the_log() {
        for (text, position) in [("1:10\n", Some((1, 10))), ("2:0", Some((2, 0))), ("", None), ("1", None)] {
            assert_eq!(parse_position(text), position, "{text}");
        }
        assert!(parse_position("1:10") < parse_position("2:2"));
    }
}
