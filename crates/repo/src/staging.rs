// SPDX-License-Identifier: MIT OR Apache-2.0
//! The directory that collects a transaction's objects until they are durable.
//!
//! The C tools use `tmp/staging-BOOTID-…` and take over what a killed process left there. Ours hold files
//! under their final names while they are written, so the name differs: nobody may mistake a piece for a whole.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};
use fn_error_context::context;
use rustix::fs::{
    AtFlags, Mode as Permissions, OFlags, RenameFlags, mkdirat, openat, renameat, renameat_with, statat,
    unlinkat,
};
use rustix::io::Errno;

use crate::lock::{LockKind, try_lock};
use crate::remove::remove_whole;
use crate::{Repo, bytes, scan};

const PREFIX: &str = "transaction-";
const LOCK_SUFFIX: &str = "-lock";
/// Fan-out directories are `objects/00` to `objects/ff`.
const FANOUTS: usize = 256;

/// A staging directory of ours, locked while it is in use and removed on drop.
#[derive(Debug)]
pub(crate) struct Staging<'r> {
    repo: &'r Repo,
    dir: OwnedFd,
    name: String,
    _lock: OwnedFd,
    /// Fan-out directories that exist among the objects, by their number.
    present: [bool; FANOUTS],
    /// Fan-out directories that exist in staging.
    staged: [bool; FANOUTS],
    /// Paths of commits that may be in staging.
    commits: BTreeSet<String>,
}

impl<'r> Staging<'r> {
    #[context("Making a staging directory in {}/tmp", repo.path().display())]
    pub(crate) fn new(repo: &'r Repo) -> Result<Self> {
        let boot_id = boot_id();
        for attempt in 0..100 {
            let name = format!("tmp/{}", bytes::unique_name(&format!("{PREFIX}{boot_id}-"), attempt));
            let lock = open_lock(repo, &name)?;
            if !try_lock(&lock, LockKind::Exclusive)? {
                continue;
            }
            match mkdirat(repo.dir(), name.as_str(), Permissions::from_raw_mode(0o755)) {
                Err(Errno::EXIST) => continue,
                made => made?,
            }
            let dir = openat(repo.dir(), name.as_str(), crate::dirs::DIR_FLAGS, Permissions::empty())?;
            let (present, staged) = ([false; FANOUTS], [false; FANOUTS]);
            let mut out = Self { repo, dir, name, _lock: lock, present, staged, commits: BTreeSet::new() };
            scan::entries(repo.objects(), |name, _| {
                if let Some(present) = fanout_index(name).and_then(|index| out.present.get_mut(index)) {
                    *present = true;
                }
                Ok(())
            })?;
            return Ok(out);
        }
        bail!("no free name");
    }

    pub(crate) fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// Whether `path` (`ab/cdef….TYPE`) exists, staged or among the objects.
    pub(crate) fn has(&self, path: &str) -> Result<bool> {
        let Some(index) = fanout_index(path.as_bytes().get(..2).unwrap_or_default()) else {
            return Ok(false);
        };
        let known = |list: &[bool; FANOUTS]| list.get(index).copied().unwrap_or(false);
        let places = [(known(&self.staged), self.dir()), (known(&self.present), self.repo.objects())];
        for (_, dir) in places.into_iter().filter(|(known, _)| *known) {
            match statat(dir, path, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(_) => return Ok(true),
                Err(Errno::NOENT) => {}
                Err(error) => return Err(error).with_context(|| format!("Looking for objects/{path}")),
            }
        }
        Ok(false)
    }

    /// Makes the directory that `path` lies in.
    pub(crate) fn prepare(&mut self, path: &str) -> Result<()> {
        let fanout = path.get(..2).unwrap_or_default();
        let staged = fanout_index(fanout.as_bytes()).and_then(|index| self.staged.get_mut(index));
        let Some(staged) = staged else { bail!("{path} is no path of an object") };
        if !*staged {
            mkdirat(&self.dir, fanout, Permissions::from_raw_mode(0o775))
                .with_context(|| format!("mkdir({}/{fanout})", self.name))?;
            *staged = true;
        }
        if path.ends_with(".commit") {
            self.commits.insert(path.to_owned());
        }
        Ok(())
    }

    /// Makes all objects durable, then visible: commits last, so that one that is there is whole. A fan-out directory
    /// that is new moves as a whole.
    pub(crate) fn publish(&mut self) -> Result<()> {
        let sync = self.repo.settings().fsync;
        if sync && self.staged.contains(&true) {
            durable::sync_fs(&self.dir).with_context(|| format!("Syncing {}", self.name))?;
        }
        let commits = self.set_commits_aside()?;
        let mut touched = Vec::new();
        for index in 0..FANOUTS {
            if !self.staged.get(index).copied().unwrap_or(false) {
                continue;
            }
            let fanout = format!("{index:02x}");
            let step = || format!("Moving objects into {}/objects/{fanout}", self.repo.path().display());
            let name = fanout.as_str();
            match renameat_with(&self.dir, name, self.repo.objects(), name, RenameFlags::NOREPLACE) {
                Ok(()) => {}
                // There already, or a file system that cannot rename without replacing.
                Err(Errno::EXIST | Errno::NOTEMPTY | Errno::INVAL) => {
                    self.move_files(&fanout).with_context(step)?;
                    touched.push(fanout);
                }
                Err(error) => return Err(error).with_context(step),
            }
            self.staged.get_mut(index).into_iter().for_each(|staged| *staged = false);
            self.present.get_mut(index).into_iter().for_each(|present| *present = true);
        }
        if sync {
            for fanout in &touched {
                bytes::sync_dir(self.repo.objects(), fanout)?;
            }
            durable::sync_dir(self.repo.objects().as_fd())
                .with_context(|| format!("Syncing {}/objects", self.repo.path().display()))?;
        }
        for (aside, path) in &commits {
            renameat(&self.dir, aside.as_str(), self.repo.objects(), path.as_str())
                .with_context(|| format!("Moving {path} into {}/objects", self.repo.path().display()))?;
            if sync {
                bytes::sync_dir(self.repo.objects(), path.get(..2).unwrap_or_default())?;
            }
        }
        Ok(())
    }

    /// Moves commits out of their fan-out directories; where each is now, and where it belongs.
    fn set_commits_aside(&mut self) -> Result<Vec<(String, String)>> {
        let mut aside = Vec::new();
        for path in std::mem::take(&mut self.commits) {
            let name = format!("commit-{}", aside.len());
            match renameat(&self.dir, path.as_str(), &self.dir, name.as_str()) {
                Ok(()) => aside.push((name, path)),
                // It was there already, or could not be linked.
                Err(Errno::NOENT) => {}
                Err(error) => return Err(error).with_context(|| format!("Moving {path} aside")),
            }
        }
        Ok(aside)
    }

    fn move_files(&self, fanout: &str) -> Result<()> {
        match mkdirat(self.repo.objects(), fanout, Permissions::from_raw_mode(0o775)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let from = openat(&self.dir, fanout, crate::dirs::DIR_FLAGS, Permissions::empty())?;
        let to = openat(self.repo.objects(), fanout, crate::dirs::DIR_FLAGS, Permissions::empty())?;
        // A directory that changes while it is listed may show entries twice or not at all.
        let mut names = Vec::new();
        scan::entries(&from, |name, _| {
            names.push(name.to_vec());
            Ok(())
        })?;
        for name in names {
            renameat(&from, &name[..], &to, &name[..])?;
        }
        unlinkat(&self.dir, fanout, AtFlags::REMOVEDIR)?;
        Ok(())
    }
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        // A later transaction removes it if this one cannot.
        remove(self.repo, &self.name).ok();
    }
}

fn remove(repo: &Repo, name: &str) -> Result<()> {
    let (dir, base) = name.rsplit_once('/').unwrap_or((".", name));
    let dir = openat(repo.dir(), dir, crate::dirs::DIR_FLAGS, Permissions::empty())?;
    remove_whole(dir.as_fd(), base.as_bytes())?;
    unlinkat(&dir, format!("{base}{LOCK_SUFFIX}"), AtFlags::empty())?;
    Ok(())
}

fn open_lock(repo: &Repo, name: &str) -> Result<OwnedFd> {
    let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    Ok(openat(repo.dir(), format!("{name}{LOCK_SUFFIX}"), flags, Permissions::from_raw_mode(0o600))?)
}

fn fanout_index(name: &[u8]) -> Option<usize> {
    let (name, 2) = (str::from_utf8(name).ok()?, name.len()) else { return None };
    usize::from_str_radix(name, 16).ok()
}

/// The id of this boot, which tells stale files of an earlier one apart.
fn boot_id() -> String {
    let mut text = String::new();
    let read =
        File::open("/proc/sys/kernel/random/boot_id").and_then(|mut file| file.read_to_string(&mut text));
    match read {
        Ok(_) => text.trim_end().to_owned(),
        Err(_) => "unknown".to_owned(),
    }
}

impl Repo {
    /// Removes what killed writers left in `tmp/`: staging directories that nobody locks, of ours and of the C
    /// tools, and anything else above the age of `core.tmp-expiry-secs`. A name that cannot be removed is told, and stops nobody.
    #[context("Cleaning {}/tmp", self.path().display())]
    pub(crate) fn clean_tmp(&self) -> Result<()> {
        let tmp = openat(self.dir(), "tmp", crate::dirs::DIR_FLAGS, Permissions::empty())?;
        let mut names = Vec::new();
        scan::entries(&tmp, |name, _| {
            names.push(name.to_vec());
            Ok(())
        })?;
        let kept = ["cache", crate::checkout_cache::NAME].map(str::as_bytes);
        for name in names.iter().filter(|name| !kept.contains(&&name[..])) {
            self.clean_stale_temp(tmp.as_fd(), name, &names).unwrap_or_else(|error| {
                log::warn!("{}/tmp/{}: {error:#}", self.path().display(), String::from_utf8_lossy(name));
            });
        }
        Ok(())
    }

    fn clean_stale_temp(&self, tmp: BorrowedFd<'_>, name: &[u8], names: &[Vec<u8>]) -> Result<()> {
        let old = match statat(tmp, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => is_older(stat.st_mtime, self.settings().tmp_expiry),
            Err(_) => return Ok(()),
        };
        // Its writer is at work, however slowly.
        if str::from_utf8(name).is_ok_and(|name| durable::is_temporary(name) && !durable::is_stale_temp(name))
        {
            return Ok(());
        }
        // No program locks by a name that is no text.
        let text = str::from_utf8(name).unwrap_or_default();
        if let Some(path) = text.strip_suffix(LOCK_SUFFIX) {
            return match names.iter().any(|name| name == path.as_bytes()) {
                true => Ok(()),
                false => self.clean_lock(tmp, text, &format!("tmp/{path}")),
            };
        }
        if !(text.starts_with(PREFIX) || old) {
            return Ok(());
        }
        let lock = [name, LOCK_SUFFIX.as_bytes()].concat();
        if !text.is_empty() && names.contains(&lock) {
            let path = format!("tmp/{text}");
            let lock = open_lock(self, &path)?;
            if try_lock(&lock, LockKind::Exclusive)? {
                log::debug!("removing stale {path}");
                remove(self, &path)?;
            }
        } else if old {
            remove_whole(tmp, name)?;
        }
        Ok(())
    }

    /// Removes the lock `name` without the directory `path`, which somebody has left who was killed in between. One that is new
    /// may be that of a directory that is about to be made.
    fn clean_lock(&self, tmp: BorrowedFd<'_>, name: &str, path: &str) -> Result<()> {
        let stat = statat(tmp, name, AtFlags::SYMLINK_NOFOLLOW);
        if stat.is_ok_and(|stat| is_older(stat.st_mtime, self.settings().tmp_expiry))
            && try_lock(&open_lock(self, path)?, LockKind::Exclusive)?
        {
            log::debug!("removing stale tmp/{name}");
            remove(self, path)?;
        }
        Ok(())
    }
}

fn is_older(mtime: i64, age: Duration) -> bool {
    let mtime = u64::try_from(mtime)
        .map_or(SystemTime::UNIX_EPOCH, |secs| SystemTime::UNIX_EPOCH + Duration::from_secs(secs));
    SystemTime::now().duration_since(mtime).is_ok_and(|since| since > age)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{InitOptions, Mode};

    #[test]
    fn locks_that_killed_writers_left_go_once_they_are_old() {
        let dir = tempfile::tempdir().unwrap();
        let repo =
            Repo::init(dir.path().join("repo"), &InitOptions { mode: Mode::Archive, collection_id: None })
                .unwrap();
        let tmp = dir.path().join("repo/tmp");
        let make = |name: &str, old: bool| {
            let file = File::create(tmp.join(name)).unwrap();
            if old {
                file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
            }
            file
        };
        make("transaction-x-old-lock", true);
        make("staging-x-old-lock", true);
        make("transaction-x-new-lock", false);
        make("transaction-x-held-lock", true);
        let held = open_lock(&repo, "tmp/transaction-x-held").unwrap();
        assert!(try_lock(&held, LockKind::Exclusive).unwrap());
        repo.clean_tmp().unwrap();
        let mut left: Vec<_> =
            std::fs::read_dir(&tmp).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["cache", "transaction-x-held-lock", "transaction-x-new-lock"]);
    }
}
