// SPDX-License-Identifier: MIT OR Apache-2.0
//! The `/etc` of a new deployment: made from `usr/etc`, then given the local changes of the merge deployment.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use durable::fault;
use etc_merge::{Change, Changes, Plan, Report, Target, Trees, What};
use fn_error_context::context;
use formats::etc_policy::Policies;
use rustix::fs::{AtFlags, StatxFlags};
use rustix::io::Errno;

use crate::directory::{self, has_entries};
use crate::load::Loaded;
use crate::reorder::Which;
use crate::retention;
use crate::sysroot::Sysroot;

/// The stamp by which systemd knows that `/etc` is up to date with `/usr` (`ConditionNeedsUpdate=`).
const UPDATED: &str = ".updated";

/// Makes `etc` of the deployment in `tree`.
///
/// A tree keeps its defaults in `usr/etc`; an empty `etc` beside it is a mount point. A tree that has its
/// defaults in `etc` is brought into this form. With defaults in both places nobody can say which ones count.
#[context("Preparing /etc")]
pub(crate) fn create(tree: BorrowedFd<'_>) -> Result<()> {
    let usr = directory::find_in_tree(tree, "usr")?.context("No such file or directory: /usr")?;
    let defaults = directory::find_in_tree(&usr, "etc")?;
    match (has_entries(directory::find_in_tree(tree, "etc")?)?, has_entries(defaults)?) {
        (Some(true), Some(true)) => {
            bail!("Tree contains both /etc and /usr/etc: keep the defaults in /usr/etc only")
        }
        (Some(true), Some(false)) => {
            bail!("/usr/etc is empty but /etc is not: move the defaults to /usr/etc")
        }
        (Some(true), None) => {
            rustix::fs::renameat(tree, c"etc", &usr, c"etc").context("Moving it to /usr/etc")?
        }
        (_, None) => bail!("No such file or directory: /usr/etc (a bootable tree has its defaults there)"),
        (Some(false), _) => {
            rustix::fs::unlinkat(tree, c"etc", AtFlags::REMOVEDIR).context("Removing the empty one")?
        }
        (None, _) => {}
    }
    etc_merge::copy_tree(usr.as_fd(), c"etc", tree, c"etc").context("Copying /usr/etc")
}

/// Carries what was changed in the `/etc` of the deployment in `old` over into that of the one in `new`.
#[context("Merging /etc")]
pub(crate) fn merge(old: BorrowedFd<'_>, new: BorrowedFd<'_>) -> Result<(Plan, Report)> {
    let (old, local) = (directory::open(old, "usr/etc")?, directory::open(old, "etc")?);
    let (new, target) = (directory::open(new, "usr/etc")?, directory::open(new, "etc")?);
    let trees = Trees { old: old.as_fd(), local: local.as_fd(), new: new.as_fd() };
    let plan = Plan::new(&trees, &Policies::default())?;
    fault::point("merge");
    let report = plan.apply(&trees, target.as_fd(), Target::Fresh)?;
    // It came with the old /etc, and says that the update has been seen to.
    remove_stamp(target.as_fd())?;
    Ok((plan, report))
}

/// How much was modified, removed and added.
pub(crate) fn counts(plan: &Plan) -> [usize; 3] {
    [What::Modified, What::Removed, What::Added].map(|what| plan.count(what))
}

impl Sysroot {
    /// What was changed in the `/etc` of the running system, or of the deployment of `stateroot` whose
    /// configuration a new one would take over.
    pub fn etc_changes(&self, stateroot: Option<&str>) -> Result<Changes> {
        let loaded = self.load()?;
        let all = &loaded.deployments;
        let index = match stateroot {
            Some(stateroot) => retention::merge_deployment(all, stateroot),
            None => loaded.find(Which::Booted),
        };
        let Some(deployment) = index.and_then(|index| all.get(index)) else {
            match stateroot {
                Some(name) => bail!("No deployments for stateroot '{name}'"),
                None => bail!("Not currently booted into an OSTree system; name a stateroot with --os="),
            }
        };
        let tree = directory::open(self.root(), &deployment.path.to_string())?;
        let (defaults, current) = (directory::open(&tree, "usr/etc")?, directory::open(&tree, "etc")?);
        Changes::between(defaults.as_fd(), current.as_fd())
    }
}

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
        let made_at = |dir: BorrowedFd<'_>| -> Result<Option<(i64, u32)>> {
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
        Ok(changes.list.iter().filter(is_later).map(|change| change.path.clone()).collect())
    }
}

/// Removes the stamp in `dir`, so that at the next boot systemd does what updates ask for.
pub(crate) fn remove_stamp(dir: BorrowedFd<'_>) -> Result<()> {
    match rustix::fs::unlinkat(dir, UPDATED, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error).context("Removing .updated"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn tree(dirs: &[&str], files: &[&str]) -> (tempfile::TempDir, fs::File) {
        let dir = tempfile::tempdir().unwrap();
        for path in dirs {
            fs::create_dir_all(dir.path().join(path)).unwrap();
        }
        for path in files {
            fs::write(dir.path().join(path), *path).unwrap();
        }
        let fd = fs::File::open(dir.path()).unwrap();
        (dir, fd)
    }

    #[test]
    fn defaults_come_from_usr_etc() {
        for (dirs, files) in
            [(vec!["usr/etc/d"], vec!["usr/etc/d/f"]), (vec!["usr/etc/d", "etc"], vec!["usr/etc/d/f"])]
        {
            let (dir, fd) = tree(&dirs, &files);
            create(fd.as_fd()).unwrap();
            assert_eq!(fs::read_to_string(dir.path().join("etc/d/f")).unwrap(), "usr/etc/d/f");
        }
        let (dir, fd) = tree(&["usr", "etc"], &["etc/f"]);
        create(fd.as_fd()).unwrap();
        assert!(dir.path().join("usr/etc/f").exists() && dir.path().join("etc/f").exists());
    }

    #[test]
    fn no_or_two_sets_of_defaults_are_refused() {
        for (dirs, files, message) in [
            (vec!["usr"], vec![], "No such file or directory: /usr/etc"),
            (vec!["usr/etc", "etc"], vec!["usr/etc/f", "etc/f"], "both /etc and /usr/etc"),
        ] {
            let (_dir, fd) = tree(&dirs, &files);
            let error = format!("{:#}", create(fd.as_fd()).unwrap_err());
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn a_link_out_of_the_tree_is_not_followed() {
        let outside = tempfile::tempdir().unwrap();
        fs::create_dir(outside.path().join("etc")).unwrap();
        for (name, files) in [("usr", vec!["etc/f"]), ("etc", vec![])] {
            let (dir, fd) = tree(&["etc"], &files);
            if name == "etc" {
                fs::remove_dir(dir.path().join("etc")).unwrap();
                fs::create_dir_all(dir.path().join("usr/etc")).unwrap();
            }
            std::os::unix::fs::symlink(outside.path(), dir.path().join(name)).unwrap();
            let error = format!("{:#}", create(fd.as_fd()).unwrap_err());
            assert!(error.contains(&format!("/{name} of the tree is no directory")), "{error}");
            assert_eq!(fs::read_dir(outside.path().join("etc")).unwrap().count(), 0);
        }
    }

    #[test]
    fn local_changes_follow_and_the_stamp_does_not() {
        let (old, old_fd) = tree(&["usr/etc"], &["usr/etc/f"]);
        create(old_fd.as_fd()).unwrap();
        for name in ["f", "mine", UPDATED] {
            fs::write(old.path().join("etc").join(name), "local").unwrap();
        }
        let (new, new_fd) = tree(&["usr/etc"], &["usr/etc/f", "usr/etc/g"]);
        create(new_fd.as_fd()).unwrap();
        let (plan, report) = merge(old_fd.as_fd(), new_fd.as_fd()).unwrap();
        assert_eq!((counts(&plan), report), ([1, 0, 2], Report::default()));
        let read = |name: &str| fs::read_to_string(new.path().join("etc").join(name)).ok();
        assert_eq!(read("f").as_deref(), Some("local"));
        assert_eq!(read("mine").as_deref(), Some("local"));
        assert_eq!(read("g").as_deref(), Some("usr/etc/g"));
        assert_eq!(read(UPDATED), None);
    }
}
