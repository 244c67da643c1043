// SPDX-License-Identifier: MIT OR Apache-2.0
//! What was changed in the `/etc` of the running system too late for the deployment that is booted next.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use anyhow::Result;
use etc_merge::{Change, Changes, What};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, StatxFlags};

use crate::directory;
use crate::load::Loaded;
use crate::sysroot::Sysroot;

/// Opens what is a directory, and no link to one.
const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Seconds since the epoch, and nanoseconds.
type Moment = (i64, u32);

impl Sysroot {
    /// What was changed in the `/etc` of the running system after the deployment that is booted next was made, and is not
    /// carried over to it: sorted, relative to `/etc`. Nothing while a staged deployment waits, which carries over all.
    pub(crate) fn etc_left_behind(&self, loaded: &Loaded) -> Result<Vec<PathBuf>> {
        let all = &loaded.deployments;
        let (Some(next), Some(booted)) = (all.first(), all.iter().find(|d| d.booted)) else {
            return Ok(Vec::new());
        };
        if next.staged || next.booted || next.path.stateroot != booted.path.stateroot {
            return Ok(Vec::new());
        }
        let made_at = |dir: BorrowedFd<'_>| -> Result<Option<Moment>> {
            let stat = rustix::fs::statx(dir, "etc", AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BTIME)?;
            let known = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::BTIME);
            Ok(known.then_some((stat.stx_btime.tv_sec, stat.stx_btime.tv_nsec)))
        };
        let next = directory::open(self.root(), &next.path.to_string())?;
        // A file system that does not say when something was made leaves nothing to compare with.
        let Some(made) = made_at(next.as_fd())? else { return Ok(Vec::new()) };
        let tree = directory::open(self.root(), &booted.path.to_string())?;
        // One that is older than what runs was not made from it, and is gone back to with the /etc that it had.
        if made_at(tree.as_fd())?.is_some_and(|booted| booted > made) {
            return Ok(Vec::new());
        }
        let (defaults, current) = (directory::open(&tree, "usr/etc")?, directory::open(&tree, "etc")?);
        let there = directory::open(&next, "etc")?;
        // A status is asked for often, and as a rule nothing was changed: then there is nothing to compare.
        if !is_any_later(current.as_fd(), made)? {
            return Ok(Vec::new());
        }
        let changes = Changes::between(defaults.as_fd(), current.as_fd())?;
        let is_later = |change: &&Change| {
            // What is gone has left its time in the directory that it was in.
            let place = match change.what {
                What::Removed => change.path.parent().filter(|path| *path != Path::new("")),
                _ => Some(change.path.as_path()),
            };
            let place = place.unwrap_or(Path::new("."));
            let stat = rustix::fs::statx(&current, place, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::CTIME);
            stat.is_ok_and(|stat| (stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec) > made)
        };
        let mut left = Vec::new();
        for Change { path, .. } in changes.list.iter().filter(is_later) {
            // `etc-merge --into` has carried it over since.
            if !etc_merge::same_at(current.as_fd(), there.as_fd(), path)? {
                left.push(path.clone());
            }
        }
        Ok(left)
    }
}

/// Whether anything in a directory was changed after a moment: a file, or a directory by what was made or removed in it.
fn is_any_later(dir: BorrowedFd<'_>, moment: Moment) -> Result<bool> {
    if changed_at(dir, c".")? > moment {
        return Ok(true);
    }
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        if matches!(entry.file_name().to_bytes(), b"." | b"..") {
            continue;
        }
        if entry.file_type() == FileType::Directory {
            let below = rustix::fs::openat(dir, entry.file_name(), DIRECTORY, Mode::empty())?;
            if is_any_later(below.as_fd(), moment)? {
                return Ok(true);
            }
        } else if changed_at(dir, entry.file_name())? > moment {
            return Ok(true);
        }
    }
    Ok(false)
}

fn changed_at(dir: BorrowedFd<'_>, name: &CStr) -> Result<Moment> {
    let stat = rustix::fs::statx(dir, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::CTIME)?;
    Ok((stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_change_at_any_depth_is_later() {
        let temp = tempfile::tempdir().unwrap();
        let at = |path: &str| temp.path().join(path);
        fs::create_dir_all(at("a/b")).unwrap();
        fs::write(at("a/b/file"), "1").unwrap();
        fs::write(at("top"), "1").unwrap();
        let dir = fs::File::open(temp.path()).unwrap();
        let now = || {
            // The kernel's clock for files advances in steps of some milliseconds.
            std::thread::sleep(std::time::Duration::from_millis(20));
            fs::write(at("clock"), "").unwrap();
            let moment = changed_at(dir.as_fd(), c"clock").unwrap();
            std::thread::sleep(std::time::Duration::from_millis(20));
            moment
        };
        let changes: [&dyn Fn(); 4] = [
            &|| fs::write(at("a/b/file"), "2").unwrap(),
            &|| fs::write(at("top"), "2").unwrap(),
            &|| fs::remove_file(at("a/b/file")).unwrap(),
            &|| fs::create_dir(at("new")).unwrap(),
        ];
        now();
        for change in changes {
            let moment = now();
            assert!(!is_any_later(dir.as_fd(), moment).unwrap());
            change();
            assert!(is_any_later(dir.as_fd(), moment).unwrap());
        }
    }
}
