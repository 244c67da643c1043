// SPDX-License-Identifier: MIT OR Apache-2.0
//! The names that files, links and directories have until they get their own.
//!
//! ```text
//! .ostree-tmp-BOOT-RANDOM     BOOT: the beginning of the boot id of who writes, RANDOM: no other has it; both 16 hexadecimal digits
//! ```
//!
//! A name that is made from that of the target, such as `NAME.tmp`, may be somebody's: a ref `foo.tmp` beside a ref `foo`. This
//! one is nobody's, and no ref name, boot entry or configuration file of any tool (all pass over names that begin with a dot).
//! A name that a power cut leaves is told by its form alone; whether its writer is still at work, by the boot id.

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Read;
use std::os::fd::BorrowedFd;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use rustix::fs::{AtFlags, Dir, FileType};
use rustix::io::Errno;

use crate::open::DIRECTORY;

const PREFIX: &str = ".ostree-tmp-";
/// Digits of either part.
const DIGITS: usize = 16;
/// Names are tried until one is free; a second try is as good as never needed.
const TRIES: usize = 16;

/// Makes something under a name that was free; the name. `EEXIST` from `make` asks for another
/// name.
pub(crate) fn make_temporary<T>(
    mut make: impl FnMut(&str) -> Result<T, Errno>,
) -> Result<(String, T), Errno> {
    let mut last = Errno::EXIST;
    for _ in 0..TRIES {
        let name = temporary_name();
        match make(&name) {
            Err(Errno::EXIST) => last = Errno::EXIST,
            made => return made.map(|made| (name, made)),
        }
    }
    Err(last)
}

fn temporary_name() -> String {
    // Seeded by the kernel for each process, and another one for each call.
    let mut random = RandomState::new().build_hasher();
    random.write_u32(std::process::id());
    format!("{PREFIX}{}-{:016x}", boot(), random.finish())
}

/// Whether a name has the form of those that are only there while something is written.
pub fn is_temporary(name: &str) -> bool {
    parse(name).is_some()
}

/// Whether it is such a name, and its writer is gone: it was another boot that made it.
pub fn is_stale_temp(name: &str) -> bool {
    parse(name).is_some_and(|writer| writer != boot())
}

/// The part that says which boot.
fn parse(name: &str) -> Option<&str> {
    let (boot, random) = name.strip_prefix(PREFIX)?.split_once('-')?;
    let is_hex =
        |text: &str| text.len() == DIGITS && text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
    (is_hex(boot) && is_hex(random)).then_some(boot)
}

/// Removes the files, links and empty directories in `dir` that writers of earlier boots left under temporary names; how many.
///
/// Those not older than `age` stay as well: the writer may be another machine, whose boot id is another one. No sync: what
/// comes back after a power cut is removed by the next call.
pub fn sweep_stale_temps(dir: BorrowedFd<'_>, age: Duration) -> Result<u64> {
    let here = rustix::fs::openat(dir, ".", DIRECTORY, rustix::fs::Mode::empty())?;
    let mut removed = 0;
    for entry in Dir::read_from(&here)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        if is_stale_temp(name) && remove_if_older(dir, name, age)? {
            removed += 1;
        }
    }
    Ok(removed)
}

/// Removes a file, a link or an empty directory whose contents were not changed for that long; whether it did.
pub fn remove_if_older(dir: BorrowedFd<'_>, name: &str, age: Duration) -> Result<bool> {
    let stat = match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(false),
        stat => stat.with_context(|| format!("Looking at {name}"))?,
    };
    let changed = UNIX_EPOCH + Duration::from_secs(u64::try_from(stat.st_mtime).unwrap_or_default());
    // A clock that was set back makes it older than it is; who writes now has this boot's name.
    if SystemTime::now().duration_since(changed).is_ok_and(|since| since <= age) {
        return Ok(false);
    }
    let flags = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => AtFlags::REMOVEDIR,
        _ => AtFlags::empty(),
    };
    match rustix::fs::unlinkat(dir, name, flags) {
        Ok(()) => Ok(true),
        // Somebody else was quicker, or it holds something.
        Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
        Err(err) => Err(err).with_context(|| format!("Removing {name}")),
    }
}

/// The beginning of the boot id; zeros without `/proc`, so that nothing of this boot counts as left over for another one of them.
fn boot() -> &'static str {
    static BOOT: OnceLock<String> = OnceLock::new();
    BOOT.get_or_init(|| {
        let mut text = String::new();
        // Not `read_to_string` of the path: a file of `/proc` has no size.
        let read =
            File::open("/proc/sys/kernel/random/boot_id").and_then(|mut file| file.read_to_string(&mut text));
        let mut digits: String = text.chars().filter(char::is_ascii_hexdigit).take(DIGITS).collect();
        if read.is_err() || digits.len() < DIGITS {
            digits = "0".repeat(DIGITS);
        }
        digits
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn names_are_told_by_their_form() {
        let name = temporary_name();
        assert!(is_temporary(&name) && !is_stale_temp(&name), "{name}");
        assert_ne!(name, temporary_name());
        assert!(name.len() < 64);
        for (name, temporary) in [
            (".ostree-tmp-0123456789abcdef-0123456789abcdef", true),
            (".ostree-tmp-0123456789abcdef-0123456789abcde", false),
            (".ostree-tmp-0123456789abcdef-0123456789abcdef.conf", false),
            (".ostree-tmp-0123456789ABCDEF-0123456789abcdef", false),
            (".ostree-tmp-", false),
            ("x.tmp", false),
        ] {
            assert_eq!((is_temporary(name), is_stale_temp(name)), (temporary, temporary), "{name}");
        }
    }

    #[test]
    fn what_may_be_somebodys_is_not_swept() {
        let temp = tempfile::tempdir().unwrap();
        let dir = File::open(temp.path()).unwrap();
        let old = ".ostree-tmp-0123456789abcdef-0000000000000000";
        let young = ".ostree-tmp-0123456789abcdef-0000000000000001";
        let full = ".ostree-tmp-0123456789abcdef-0000000000000002";
        let ours = temporary_name();
        for name in [old, young, &ours, "x.tmp", ".other"] {
            let file = File::create(temp.path().join(name)).unwrap();
            if name != young {
                file.set_modified(UNIX_EPOCH).unwrap();
            }
        }
        std::fs::create_dir_all(temp.path().join(full)).unwrap();
        std::fs::write(temp.path().join(full).join("file"), "").unwrap();
        File::open(temp.path().join(full)).unwrap().set_modified(UNIX_EPOCH).unwrap();
        assert_eq!(sweep_stale_temps(dir.as_fd(), Duration::from_secs(60)).unwrap(), 1);
        assert!(!temp.path().join(old).exists());
        for name in [young, full, &ours, "x.tmp", ".other"] {
            assert!(temp.path().join(name).exists(), "{name}");
        }
    }

    #[test]
    fn a_name_that_is_taken_is_not_touched() {
        let mut tried = Vec::new();
        let (name, ()) = make_temporary(|name| {
            tried.push(name.to_owned());
            if tried.len() < 3 { Err(Errno::EXIST) } else { Ok(()) }
        })
        .unwrap();
        assert_eq!(tried.last(), Some(&name));
        assert_eq!(make_temporary(|_| Err::<(), _>(Errno::EXIST)).unwrap_err(), Errno::EXIST);
        assert_eq!(make_temporary(|_| Err::<(), _>(Errno::NOSPC)).unwrap_err(), Errno::NOSPC);
    }
}
