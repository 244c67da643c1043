// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bringing what the log of an xfs holds to its place, without freezing the file system.
//!
//! Xfs does this by itself every 30 seconds, in the background. No call asks for it sooner, but it is done on two occasions:
//!
//! - `syncfs` in laptop mode: the disk is awake then, so what would be done later is done at once (`vm.laptop_mode`,
//!   <https://docs.kernel.org/admin-guide/laptops/laptop-mode.html>). Up to Linux 6; in Linux 7 the switch is there and without effect.
//! - The kernel is short of memory, or is told to drop the entries and inodes that it remembers (`vm.drop_caches`): an inode that is
//!   not in its place yet cannot be dropped. Nothing is lost by it, but of all file systems names have to be looked up again.
//!
//! Whether it was done shows in sysfs: the log's tail, which is behind everything that is not in its place yet, has passed where
//! its head was when we asked. What does not move anything is found out within half a second, and not tried again.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

/// The switch of laptop mode: 0 is off. It is for all of the machine, and changes nothing but when data is written.
const LAPTOP_MODE: &str = "/proc/sys/vm/laptop_mode";
/// Drops what the kernel remembers of all file systems and does not use.
const DROP_CACHES: &str = "/proc/sys/vm/drop_caches";
/// Names and inodes; not the contents of files.
const NAMES_AND_INODES: &[u8] = b"2\n";
/// How long the log may take. Much is in it after a new deployment.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long nothing may move before an occasion is taken for none. Xfs begins to write within some milliseconds.
const STANDSTILL: Duration = Duration::from_millis(500);
/// How long one occasion is waited for before the next one is made: an inode that was busy may have been passed over.
const ROUND: Duration = Duration::from_millis(150);
/// How long the disk is given between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// An occasion on which xfs brings what its log holds to its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// `syncfs` in laptop mode.
    LaptopMode,
    /// Dropping the names and inodes that the kernel remembers.
    DroppedCaches,
}

/// The one that costs least first.
const OCCASIONS: [Occasion; 2] = [Occasion::LaptopMode, Occasion::DroppedCaches];

/// Those that are known to move nothing: the kernel does not change while this process lives.
static MOVES_NOTHING: [AtomicBool; 2] = [AtomicBool::new(false), AtomicBool::new(false)];

/// The outcome of a push.
#[derive(Debug, PartialEq, Eq)]
enum Pushed {
    /// All that was written is in its place.
    All,
    /// Others write so much that it does not come to an end.
    NotInTime,
    /// This kernel, or these privileges, do not know the occasion.
    MovesNothing,
}

/// Brings everything that was written to the xfs of `boot` so far to its place. `false` where the kernel or the
/// privileges do not allow that, or others write so much that it does not come to an end.
pub fn push_xfs_log(boot: BorrowedFd<'_>) -> Result<bool, Errno> {
    for (occasion, moves_nothing) in OCCASIONS.into_iter().zip(&MOVES_NOTHING) {
        if moves_nothing.load(Ordering::Relaxed) {
            continue;
        }
        match push_on(occasion, boot)? {
            Pushed::All => return Ok(true),
            Pushed::NotInTime => return Ok(false),
            Pushed::MovesNothing if log_directory(boot).is_none() => return Ok(false),
            Pushed::MovesNothing => moves_nothing.store(true, Ordering::Relaxed),
        }
    }
    Ok(false)
}

/// As [`push_xfs_log`], on one occasion alone, whether it is known to be none or not: for tests of each.
pub fn push_xfs_log_on(occasion: Occasion, boot: BorrowedFd<'_>) -> Result<bool, Errno> {
    Ok(push_on(occasion, boot)? == Pushed::All)
}

fn push_on(occasion: Occasion, boot: BorrowedFd<'_>) -> Result<Pushed, Errno> {
    let Some(log) = log_directory(boot) else { return Ok(Pushed::MovesNothing) };
    let deadline = Instant::now() + PATIENCE;
    // A second round is for blocks that were changed again since the head was read: they move with it.
    for _ in 0..2 {
        rustix::fs::syncfs(boot)?;
        let Some(goal) = position(&log, "log_head_lsn") else { return Ok(Pushed::MovesNothing) };
        match push_to(goal, &log, occasion, boot, deadline)? {
            Pushed::All => {}
            other => return Ok(other),
        }
    }
    // The last flush is before the record that has the tail; this is one behind it.
    write_something(boot)?;
    Ok(Pushed::All)
}

/// Makes occasions until the tail has passed `goal`.
fn push_to(
    goal: Position,
    log: &Path,
    occasion: Occasion,
    boot: BorrowedFd<'_>,
    deadline: Instant,
) -> Result<Pushed, Errno> {
    let mut last = Progress::of(log);
    let (mut moved, mut made) = (Instant::now(), None::<Instant>);
    while last.tail.is_none_or(|tail| tail < goal) {
        let now = Instant::now();
        if now > deadline {
            return Ok(Pushed::NotInTime);
        }
        if now > moved + STANDSTILL {
            return Ok(Pushed::MovesNothing);
        }
        // This makes xfs look where the tail is, and leaves an inode to be dropped.
        write_something(boot)?;
        if made.is_none_or(|made| now > made + ROUND) {
            if !occasion.make(boot)? {
                return Ok(Pushed::MovesNothing);
            }
            made = Some(Instant::now());
        }
        // The time that a slow disk and the occasion took is no standstill of the log.
        moved += now.elapsed();
        std::thread::sleep(PAUSE);
        let progress = Progress::of(log);
        if progress != last {
            (last, moved) = (progress, Instant::now());
        }
    }
    Ok(Pushed::All)
}

impl Occasion {
    /// Says whether it was possible.
    fn make(self, boot: BorrowedFd<'_>) -> Result<bool, Errno> {
        match self {
            Self::LaptopMode => sync_in_laptop_mode(boot),
            Self::DroppedCaches => {
                let Ok(caches) = File::options().write(true).open(DROP_CACHES) else { return Ok(false) };
                Ok(caches.write_all_at(NAMES_AND_INODES, 0).is_ok())
            }
        }
    }
}

/// By which it shows that xfs is at it.
#[derive(Debug, PartialEq, Eq)]
struct Progress {
    tail: Option<Position>,
    /// How often an item of the log was sent to the disk, or found to be on its way, since the mount. On a slow disk this goes
    /// on long before the tail moves.
    sent: Option<u64>,
}

impl Progress {
    fn of(log: &Path) -> Self {
        let stats = std::fs::read_to_string(log.with_file_name("stats").join("stats")).unwrap_or_default();
        Self { tail: position(log, "log_tail_lsn"), sent: parse_sent(&stats) }
    }
}

/// Two of the numbers of `push_ail` in the statistics of a file system: items that were sent, and those found on their way.
fn parse_sent(stats: &str) -> Option<u64> {
    const SUCCESS: usize = 3;
    const FLUSHING: usize = 7;
    let line = stats.lines().find_map(|line| line.strip_prefix("push_ail "))?;
    let number = |at: usize| line.split(' ').nth(at)?.parse::<u64>().ok();
    Some(number(SUCCESS)?.wrapping_add(number(FLUSHING)?))
}

/// Finds the directory of sysfs about the log of a file system; none for one that is no xfs.
fn log_directory(boot: BorrowedFd<'_>) -> Option<PathBuf> {
    let device = rustix::fs::fstat(boot).ok()?.st_dev;
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let device = std::fs::read_link(format!("/sys/dev/block/{major}:{minor}")).ok()?;
    let log = Path::new("/sys/fs/xfs").join(device.file_name()?).join("log");
    log.is_dir().then_some(log)
}

/// A place in the log: how often it went round, and the block.
type Position = (u64, u64);

fn position(log: &Path, name: &str) -> Option<Position> {
    parse_position(&std::fs::read_to_string(log.join(name)).ok()?)
}

fn parse_position(text: &str) -> Option<Position> {
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

    #[test]
    fn what_was_sent_to_the_disk() {
        let stats = "trans 0 19 3\nig 1 2\npush_ail 703 0 3 12 0 0 0 2 0 0\nxstrat 0 0\n";
        assert_eq!(parse_sent(stats), Some(14));
        assert_eq!(parse_sent("push_ail 1 2\n"), None);
        assert_eq!(parse_sent(""), None);
    }
}
