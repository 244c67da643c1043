// SPDX-License-Identifier: MIT OR Apache-2.0
//! Carrying the local changes of the merge deployment over into a new `/etc`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::Result;
use durable::fault;
use etc_merge::{Attributes, Plan, Target, Trees, What};
use fn_error_context::context;
use formats::etc_policy::Policies;
use sysroot::etc::EtcConflict;
use sysroot::{Options, directory};

use super::conflicts;
use super::policies::{self, Moment};
use crate::journal;
use crate::update_stamp::remove_update_stamp;

/// The result of a merge.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    /// How much was modified, removed and added locally.
    pub(crate) counts: [usize; 3],
    /// Where local changes and the update met.
    pub(crate) conflicts: Vec<EtcConflict>,
}

/// The `/etc` of two deployments, and what it is made from.
pub(super) struct Sides {
    old: OwnedFd,
    local: OwnedFd,
    new: OwnedFd,
    pub(super) target: OwnedFd,
    pub(super) policies: Policies,
}

impl Sides {
    pub(super) fn open(old: BorrowedFd<'_>, new: BorrowedFd<'_>, moment: Moment) -> Result<Self> {
        Ok(Self {
            old: directory::open(old, "usr/etc")?,
            local: directory::open(old, "etc")?,
            new: directory::open(new, "usr/etc")?,
            target: directory::open(new, "etc")?,
            policies: policies::read(new, old, moment)?,
        })
    }

    pub(super) fn trees(&self) -> Trees<'_> {
        Trees { old: self.old.as_fd(), local: self.local.as_fd(), new: self.new.as_fd() }
    }
}

/// Carries what was changed in the `/etc` of the deployment in `old` over into that of the one in `new`.
#[context("Merging /etc")]
pub(crate) fn merge(
    old: BorrowedFd<'_>,
    new: BorrowedFd<'_>,
    moment: Moment,
    attributes: Attributes,
) -> Result<Merged> {
    let sides = Sides::open(old, new, moment)?;
    let plan = Plan::new(&sides.trees(), &sides.policies)?.with(attributes);
    if moment == Moment::Asked {
        refuse(&plan)?;
    }
    fault::point("merge");
    let report = plan.apply(&sides.trees(), sides.target.as_fd(), Target::Fresh)?;
    // It came with the old /etc, and says that the update has been seen to.
    remove_update_stamp(sides.target.as_fd())?;
    let counts = counts(&plan);
    journal::etc_merged(counts);
    Ok(Merged { counts, conflicts: conflicts::all(&plan, &report) })
}

/// Refuses a deployment that the policies do not allow, before the shutdown that would merge: then nobody can be asked.
#[context("Planning the merge of /etc")]
pub(crate) fn check_policies(old: BorrowedFd<'_>, new: BorrowedFd<'_>) -> Result<()> {
    let sides = Sides::open(old, new, Moment::Asked)?;
    if sides.policies.may_fail() { refuse(&Plan::new(&sides.trees(), &sides.policies)?) } else { Ok(()) }
}

pub(super) fn refuse(plan: &Plan) -> Result<()> {
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

/// Tells whether local changes are carried over to a new `/etc` with their extended attributes.
pub(crate) fn etc_attributes(options: &Options) -> Attributes {
    if options.no_xattrs { Attributes::Leave } else { Attributes::Keep }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::etc::create;
    use crate::update_stamp::UPDATED;
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
    fn local_changes_follow_and_the_stamp_does_not() {
        let (old, old_fd) = tree(&["usr/etc"], &["usr/etc/f"]);
        create(old_fd.as_fd(), None).unwrap();
        for name in ["f", "mine", UPDATED] {
            fs::write(old.path().join("etc").join(name), "local").unwrap();
        }
        let (new, new_fd) = tree(&["usr/etc"], &["usr/etc/f", "usr/etc/g"]);
        create(new_fd.as_fd(), None).unwrap();
        let merged = merge(old_fd.as_fd(), new_fd.as_fd(), Moment::Asked, Attributes::Keep).unwrap();
        assert_eq!((merged.counts, merged.conflicts), ([1, 0, 2], Vec::new()));
        let read = |name: &str| fs::read_to_string(new.path().join("etc").join(name)).ok();
        assert_eq!(read("f").as_deref(), Some("local"));
        assert_eq!(read("mine").as_deref(), Some("local"));
        assert_eq!(read("g").as_deref(), Some("usr/etc/g"));
        assert_eq!(read(UPDATED), None);
    }
}
