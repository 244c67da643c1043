// SPDX-License-Identifier: MIT OR Apache-2.0
//! The `/etc` of a new deployment: made from `usr/etc`, then given the local changes of the merge deployment.

mod conflicts;
mod into;
mod left_behind;
mod policies;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Result, bail};
use durable::fault;
use etc_merge::{Changes, Plan, Target, Trees, What};
use fn_error_context::context;
use formats::etc_policy::Policies;
use rustix::fs::AtFlags;
use rustix::io::Errno;

pub use conflicts::{EtcConflict, Side};
pub(crate) use conflicts::{summary, write_down};
pub use into::{EtcMerge, EtcPlan, IntoError};

use crate::directory::{self, has_entries};
use crate::journal;
use crate::labels::{Extent, Labeler};
use crate::reorder::Which;
use crate::retention;
use crate::sysroot::Sysroot;

/// The stamp by which systemd knows that `/etc` is up to date with `/usr` (`ConditionNeedsUpdate=`).
const UPDATED: &str = ".updated";

/// Makes `etc` of the deployment in `tree`.
///
/// A tree keeps its defaults in `usr/etc`; an empty `etc` beside it is a mount point. A tree that has its
/// defaults in `etc` is brought into this form; the labels are those of `/etc`, which `usr/etc` need not have. With defaults in both places nobody can say which ones count.
#[context("Preparing /etc")]
pub(crate) fn create(tree: BorrowedFd<'_>, labeler: Option<&Labeler>) -> Result<()> {
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
    etc_merge::copy_tree(usr.as_fd(), c"etc", tree, c"etc").context("Copying /usr/etc")?;
    let Some(labeler) = labeler else { return Ok(()) };
    labeler.label_tree(directory::open(tree, "etc")?.as_fd(), "/etc", Extent::All).map(drop)
}

/// When a merge is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Somebody has asked for a deployment, and reads why there is none.
    Asked,
    /// The system is shut down: nobody can be asked any more, and whatever the policies say, the update is not lost.
    Shutdown,
}

/// What a merge has done.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    /// How much was modified, removed and added locally.
    pub(crate) counts: [usize; 3],
    /// Where local changes and the update met.
    pub(crate) conflicts: Vec<EtcConflict>,
}

/// The `/etc` of two deployments, and what it is made from.
struct Sides {
    old: OwnedFd,
    local: OwnedFd,
    new: OwnedFd,
    target: OwnedFd,
    policies: Policies,
}

impl Sides {
    fn open(old: BorrowedFd<'_>, new: BorrowedFd<'_>, moment: Moment) -> Result<Self> {
        Ok(Self {
            old: directory::open(old, "usr/etc")?,
            local: directory::open(old, "etc")?,
            new: directory::open(new, "usr/etc")?,
            target: directory::open(new, "etc")?,
            policies: policies::read(new, old, moment)?,
        })
    }

    fn trees(&self) -> Trees<'_> {
        Trees { old: self.old.as_fd(), local: self.local.as_fd(), new: self.new.as_fd() }
    }
}

/// Carries what was changed in the `/etc` of the deployment in `old` over into that of the one in `new`.
#[context("Merging /etc")]
pub(crate) fn merge(old: BorrowedFd<'_>, new: BorrowedFd<'_>, moment: Moment) -> Result<Merged> {
    let sides = Sides::open(old, new, moment)?;
    let plan = Plan::new(&sides.trees(), &sides.policies)?;
    if moment == Moment::Asked {
        refuse(&plan)?;
    }
    fault::point("merge");
    let report = plan.apply(&sides.trees(), sides.target.as_fd(), Target::Fresh)?;
    // It came with the old /etc, and says that the update has been seen to.
    remove_stamp(sides.target.as_fd())?;
    let counts = counts(&plan);
    journal::etc_merged(counts);
    Ok(Merged { counts, conflicts: EtcConflict::all(&plan, &report) })
}

/// Refuses a deployment that the policies do not allow, before the shutdown that would merge: then nobody can be asked.
#[context("Planning the merge of /etc")]
pub(crate) fn check_policies(old: BorrowedFd<'_>, new: BorrowedFd<'_>) -> Result<()> {
    let sides = Sides::open(old, new, Moment::Asked)?;
    if sides.policies.may_fail() { refuse(&Plan::new(&sides.trees(), &sides.policies)?) } else { Ok(()) }
}

fn refuse(plan: &Plan) -> Result<()> {
    let paths: Vec<_> = plan.refusals().map(|item| format!("/etc/{}", item.path.display())).collect();
    if paths.is_empty() { Ok(()) } else { Err(EtcError::Forbidden(paths.join(", ")).into()) }
}

/// Why there is no merge.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EtcError {
    /// A policy says so.
    #[error(
        "the policy `fail` forbids it: {0} changed both locally and with the update; make the local side what the update \
         has, or give another policy in /etc/ostree/etc-merge.d"
    )]
    Forbidden(String),
}

/// How much was modified, removed and added.
fn counts(plan: &Plan) -> [usize; 3] {
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
            create(fd.as_fd(), None).unwrap();
            assert_eq!(fs::read_to_string(dir.path().join("etc/d/f")).unwrap(), "usr/etc/d/f");
        }
        let (dir, fd) = tree(&["usr", "etc"], &["etc/f"]);
        create(fd.as_fd(), None).unwrap();
        assert!(dir.path().join("usr/etc/f").exists() && dir.path().join("etc/f").exists());
    }

    #[test]
    fn no_or_two_sets_of_defaults_are_refused() {
        for (dirs, files, message) in [
            (vec!["usr"], vec![], "No such file or directory: /usr/etc"),
            (vec!["usr/etc", "etc"], vec!["usr/etc/f", "etc/f"], "both /etc and /usr/etc"),
        ] {
            let (_dir, fd) = tree(&dirs, &files);
            let error = format!("{:#}", create(fd.as_fd(), None).unwrap_err());
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
            let error = format!("{:#}", create(fd.as_fd(), None).unwrap_err());
            assert!(error.contains(&format!("/{name} of the tree is no directory")), "{error}");
            assert_eq!(fs::read_dir(outside.path().join("etc")).unwrap().count(), 0);
        }
    }

    #[test]
    fn local_changes_follow_and_the_stamp_does_not() {
        let (old, old_fd) = tree(&["usr/etc"], &["usr/etc/f"]);
        create(old_fd.as_fd(), None).unwrap();
        for name in ["f", "mine", UPDATED] {
            fs::write(old.path().join("etc").join(name), "local").unwrap();
        }
        let (new, new_fd) = tree(&["usr/etc"], &["usr/etc/f", "usr/etc/g"]);
        create(new_fd.as_fd(), None).unwrap();
        let merged = merge(old_fd.as_fd(), new_fd.as_fd(), Moment::Asked).unwrap();
        assert_eq!((merged.counts, merged.conflicts), ([1, 0, 2], Vec::new()));
        let read = |name: &str| fs::read_to_string(new.path().join("etc").join(name)).ok();
        assert_eq!(read("f").as_deref(), Some("local"));
        assert_eq!(read("mine").as_deref(), Some("local"));
        assert_eq!(read("g").as_deref(), Some("usr/etc/g"));
        assert_eq!(read(UPDATED), None);
    }
}
