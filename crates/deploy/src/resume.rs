// SPDX-License-Identifier: MIT OR Apache-2.0
//! Resuming an update that a shutdown did not finish, in the boot after it; see [`sysroot::staged::persistent`].

use std::os::fd::AsFd;

use anyhow::{Error, Result, ensure};
use durable::fault;
use fn_error_context::context;
use formats::bootlink::DeploymentPath;
use formats::staged::Kept;
use rustix::fs::CWD;
use sysroot::{Loaded, Lock, Sysroot, directory};

use crate::plan::Step;
use crate::staged::{self, persistent};
use crate::{etc, finalize_service, preflight, seal};

/// The outcome of resuming an update that was not finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resumed {
    /// There is none.
    Nothing,
    /// It is staged again, and shutdown will finalize it.
    Staged {
        /// The deployment.
        path: DeploymentPath,
        /// Which attempt the next shutdown makes, from 1.
        attempt: u32,
        /// How many there are.
        of: u32,
    },
    /// It is discarded.
    Discarded {
        /// The deployment.
        path: DeploymentPath,
        /// Why.
        why: String,
        /// Whether it failed, and nobody has wanted it so.
        failed: bool,
    },
}

/// The decision about an update that was not finished.
enum Decision {
    /// There is none.
    Nothing,
    /// Only its end was missing.
    Finished,
    /// Its record cannot be read.
    Unreadable(Error),
    /// It cannot be staged again.
    Discard { path: DeploymentPath, why: String, failed: bool },
    /// It is staged again, if its tree is whole.
    Stage { kept: Box<Kept>, of: u32 },
}

/// Decides about the update that was not finished. Nothing is changed.
fn decide(sysroot: &Sysroot) -> Result<Decision> {
    if !sysroot.has_unfinished_update()? {
        return Ok(Decision::Nothing);
    }
    let loaded = sysroot.load_lenient()?;
    if !loaded.is_running_system {
        // It is for the boot of this root.
        return Ok(Decision::Nothing);
    }
    let kept = match sysroot.persistent_record() {
        Ok(Some(kept)) => kept,
        Ok(None) => return Ok(Decision::Nothing),
        Err(error) => return Ok(Decision::Unreadable(error)),
    };
    let path = kept.staged.target.path.clone();
    if loaded.deployments.iter().any(|d| d.path == path) {
        return Ok(Decision::Finished);
    }
    let of = sysroot.boot_config()?.finalize_attempts;
    if kept.attempts >= of {
        let why = format!("{} of {of} attempts have failed", kept.attempts);
        return Ok(Decision::Discard { path, why, failed: true });
    }
    if let Some(why) = does_not_fit(sysroot, &loaded, &kept)? {
        return Ok(Decision::Discard { path, why: why.to_owned(), failed: false });
    }
    Ok(Decision::Stage { kept: Box::new(kept), of })
}

/// Stages the update again that was not finished, if it still fits; else discards it. To be called once in a boot.
///
/// # Errors
///
/// The record of the update or the boot entries cannot be read, or the new record cannot be written.
#[context("Taking up the update that was not finished")]
pub fn resume(lock: &Lock<'_>) -> Result<Resumed> {
    let sysroot = lock.sysroot();
    let (kept, of) = match decide(sysroot)? {
        Decision::Nothing => return Ok(Resumed::Nothing),
        Decision::Finished => return persistent::forget_kept(sysroot).map(|()| Resumed::Nothing),
        Decision::Unreadable(error) => {
            persistent::forget_kept(sysroot)?;
            return Err(error.context("It is given up; stage it again"));
        }
        Decision::Discard { path, why, failed } => {
            persistent::forget_kept(sysroot)?;
            return Ok(Resumed::Discarded { path, why, failed });
        }
        Decision::Stage { kept, of } => (kept, of),
    };
    let path = kept.staged.target.path.clone();
    if let Err(error) = make_whole(sysroot, &kept) {
        persistent::forget_kept(sysroot)?;
        return Ok(Resumed::Discarded { path, why: format!("{error:#}"), failed: true });
    }
    fault::point("take-up");
    // The persistent record stays true, for nothing on the disk changes: were the time of the deployments set here, a cut
    // before it is written anew would make it false.
    staged::write(&kept.staged)?;
    finalize_service::start_later()?;
    Ok(Resumed::Staged { path, attempt: kept.attempts + 1, of })
}

/// The steps of [`resume`], and whether it would report a failure.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResumePlan {
    /// The steps in their order.
    pub steps: Vec<Step>,
    /// Whether the update is given up, which the caller reports.
    pub fails: bool,
}

/// Plans what [`resume`] would do, without touching anything. An `/etc` that is made anew is taken to become whole.
///
/// # Errors
///
/// The record of the update or the boot entries cannot be read.
#[context("Planning to take up the update that was not finished")]
pub fn plan_resume(sysroot: &Sysroot) -> Result<ResumePlan> {
    let forget = |fails| ResumePlan { steps: vec![Step::remove(sysroot::staged::persistent::PATH)], fails };
    let kept = match decide(sysroot)? {
        Decision::Nothing => return Ok(ResumePlan::default()),
        Decision::Finished => return Ok(forget(false)),
        Decision::Unreadable(_) => return Ok(forget(true)),
        Decision::Discard { failed, .. } => return Ok(forget(failed)),
        Decision::Stage { kept, .. } => kept,
    };
    let path = format!("/{}", kept.staged.target.path);
    let mut steps = Vec::new();
    let is_whole = if kept.attempts > 0 {
        steps.push(Step::Seal { path: path.clone() });
        steps.push(Step::CopyEtc { to: format!("{path}/etc") });
        has_boot_files(sysroot, &kept)
    } else {
        // Before the first attempt nothing is made anew.
        make_whole(sysroot, &kept)
    };
    if is_whole.is_err() {
        steps.push(Step::remove(sysroot::staged::persistent::PATH));
        return Ok(ResumePlan { steps, fails: true });
    }
    if kept.attempts > 0 {
        steps.push(Step::Sync { path: "/".to_owned() });
    }
    if directory::find(CWD, sysroot::staged::DIR)?.is_none() {
        steps.push(Step::MakeDirectory { path: sysroot::staged::DIR.to_owned() });
    }
    if kept.staged.locked {
        steps.push(Step::write(format!("{}/{}", sysroot::staged::DIR, sysroot::staged::LOCKED)));
    }
    steps.push(Step::write(sysroot::staged::PATH));
    steps.push(Step::Run { command: finalize_service::START_LATER.join(" ") });
    Ok(ResumePlan { steps, fails: false })
}

/// Why what is kept is not true any more.
fn does_not_fit(sysroot: &Sysroot, loaded: &Loaded, kept: &Kept) -> Result<Option<&'static str>> {
    let booted = loaded.booted().and_then(|index| loaded.deployments.get(index));
    let Some(booted) = booted else { return Ok(Some("what runs is not in the boot menu")) };
    if kept.staged.merge.as_ref().is_some_and(|merge| merge.path != booted.path) {
        return Ok(Some("another deployment runs than the one that it was made from"));
    }
    let same = kept.deployments == loaded.menu() && sysroot.is_current(kept);
    Ok((!same).then_some("the deployments were changed after it was staged"))
}

/// Whether the tree is whole. Before the first attempt nothing is changed; an `/etc` that an attempt has begun to merge is made anew.
#[context("Looking at {}", kept.staged.target.path)]
fn make_whole(sysroot: &Sysroot, kept: &Kept) -> Result<()> {
    let target = &kept.staged.target;
    let tree = directory::open(sysroot.root(), &target.path.to_string())?;
    sysroot.repo().load_commit(&target.path.checksum)?;
    if kept.attempts > 0 {
        seal::set_immutable(tree.as_fd(), false)?;
        durable::remove_tree(tree.as_fd(), "etc")?;
        etc::create(tree.as_fd(), selinux::as_far_as_possible(tree.as_fd()).as_ref())?;
    }
    preflight::check(tree.as_fd(), &preflight::ignored_at_shutdown(sysroot, &kept.staged))?;
    has_boot_files(sysroot, kept)?;
    if kept.attempts > 0 { durable::sync_fs(sysroot.root()) } else { Ok(()) }
}

/// Whether the tree has the boot files that were recorded.
fn has_boot_files(sysroot: &Sysroot, kept: &Kept) -> Result<()> {
    let target = &kept.staged.target;
    let tree = directory::open(sysroot.root(), &target.path.to_string())?;
    let options = sysroot.options().with_staged_words(&kept.staged.options);
    let found = options.kernel_files(tree.as_fd())?.boot_checksum(tree.as_fd())?;
    ensure!(found == target.boot_checksum, "Its boot files are damaged");
    Ok(())
}
