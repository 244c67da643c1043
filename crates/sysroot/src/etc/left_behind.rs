// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changes in the `/etc` of the running system that came too late for the deployment that is booted next.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use durable::{Mounts, Walk, shown};
use etc_merge::{Change, Changes, What};
use rustix::fs::{AtFlags, StatxFlags};
use rustix::io::Errno;

use crate::directory;
use crate::load::Loaded;
use crate::sysroot::Sysroot;

/// Seconds since the epoch, and nanoseconds.
type Moment = (i64, u32);

impl Sysroot {
    /// Lists the changes in the `/etc` of the running system after the deployment that is booted next was made, and that are not
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
            // A removed file has left its time in the directory that it was in.
            let place = match change.what {
                What::Removed => change.path.parent().filter(|path| *path != Path::new("")),
                _ => Some(change.path.as_path()),
            };
            let place = place.unwrap_or(Path::new("."));
            let stat = rustix::fs::statx(&current, place, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::CTIME);
            let is_later = stat.is_ok_and(|stat| (stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec) > made);
            // It stands for all that is in it.
            let is_one = change.what != What::Removed && etc_merge::is_one(&change.path);
            is_later || is_one && is_later_inside(current.as_fd(), &change.path, made)
        };
        let mut left_behind = Vec::new();
        for Change { path, .. } in changes.list.iter().filter(is_later) {
            // `etc-merge --into` has carried it over since.
            if !etc_merge::same_at(current.as_fd(), there.as_fd(), path)? {
                left_behind.push(path.clone());
            }
        }
        Ok(left_behind)
    }
}

/// Whether anything in a directory was changed after a moment: a file, or a directory by what was made or removed in it.
fn is_any_later(dir: BorrowedFd<'_>, moment: Moment) -> Result<bool> {
    if changed_at(dir, c".")? > moment {
        return Ok(true);
    }
    let mut walk = Walk::new(dir, Mounts::Enter)?;
    while let Some(seen) = walk.next()? {
        match changed_at(seen.dir(), &seen.name) {
            Ok(changed) if changed <= moment => {}
            // It was removed just now.
            Ok(_) | Err(Errno::NOENT) => return Ok(true),
            Err(errno) => return Err(errno).with_context(|| shown(&seen.path()).display().to_string()),
        }
    }
    Ok(false)
}

/// The same of what is at a path, if it is a directory.
fn is_later_inside(etc: BorrowedFd<'_>, path: &Path, moment: Moment) -> bool {
    directory::open_named(etc, path).is_ok_and(|dir| is_any_later(dir.as_fd(), moment).unwrap_or(true))
}

fn changed_at(dir: BorrowedFd<'_>, name: &CStr) -> Result<Moment, Errno> {
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
