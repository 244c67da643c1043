// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tree of a new deployment, from the empty place to one that a boot entry may name.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use anyhow::{Context, Result};
use bootloader::{KernelFiles, Settings};
use durable::fault;
use fn_error_context::context;
use formats::bootlink::DeploymentPath;
use repo::CheckoutOptions;
use repo::Refspec;
use rustix::fs::IFlags;

use super::DeployPlan;
use crate::etc::{EtcConflict, Moment};
use crate::init::make_dir;
use crate::load::Loaded;
use crate::spare::spare;
use crate::{Sysroot, backing, cleanup, directory, etc, initramfs, labels, preflight, var};

/// A tree that nothing refers to yet. Dropped without [`Tree::keep`], it is removed again, unless the switch failed
/// so late that a boot link leads to it.
pub(super) struct Tree<'a> {
    sysroot: &'a Sysroot,
    settings: &'a Settings,
    path: DeploymentPath,
    kept: bool,
    etc: Option<[usize; 3]>,
    conflicts: Vec<EtcConflict>,
    stale_policy: Option<String>,
    /// The ref that keeps its objects.
    spared: Refspec,
}

/// What was found out while a tree was made.
pub(super) struct Made {
    /// How much the merge has modified, removed and added.
    pub(super) etc: Option<[usize; 3]>,
    /// Where it has met the update.
    pub(super) conflicts: Vec<EtcConflict>,
    /// Why the SELinux policy is not compiled again.
    pub(super) stale_policy: Option<String>,
}

/// What is in the new `/etc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Etc {
    /// The tree's defaults, and the local changes of the merge deployment.
    Merged,
    /// The tree's defaults; the changes follow at shutdown, when there will be no more of them.
    Defaults,
}

impl<'a> Tree<'a> {
    /// Makes the tree that `plan` describes, and checks that it can be booted.
    pub(super) fn create(
        sysroot: &'a Sysroot,
        loaded: &Loaded,
        settings: &'a Settings,
        plan: &DeployPlan,
        etc: Etc,
    ) -> Result<Self> {
        let mut tree = Self {
            sysroot,
            settings,
            path: plan.path.clone(),
            kept: false,
            etc: None,
            conflicts: Vec::new(),
            stale_policy: None,
            spared: spare(sysroot, loaded, &plan.path.checksum)?,
        };
        let stateroot = format!("ostree/deploy/{}", plan.path.stateroot);
        make_dir(sysroot.root(), &format!("{stateroot}/deploy"), 0o755)?;
        let root = tree.check_out(plan)?;
        fault::point("checkout");
        let mut labeler = plan.selinux.labeler(root.as_fd())?;
        etc::create(root.as_fd(), labeler.as_ref())?;
        if let Some(merge) = &plan.merge {
            let old = directory::open(sysroot.root(), &merge.to_string())?;
            match etc {
                Etc::Merged => tree.merge_etc(old.as_fd(), root.as_fd())?,
                Etc::Defaults => etc::check_policies(old.as_fd(), root.as_fd())?,
            }
        }
        if plan.merge.is_some() && etc == Etc::Merged && labeler.is_some() {
            tree.stale_policy = labels::refresh(sysroot, &plan.path, root.as_fd())?;
            // With what the administrator has added to the policy.
            labeler = plan.selinux.labeler(root.as_fd())?;
            labeler.iter().try_for_each(|labeler| labeler.fill_etc(root.as_fd()))?;
        }
        preflight::check(root.as_fd())?;
        let files = KernelFiles::find(root.as_fd())?;
        let former = plan.merge.as_ref().map(|merge| directory::open(sysroot.root(), &merge.to_string()));
        // Unpacking one takes longer than all the rest, and that of the deployment before was checked then.
        if !former
            .transpose()?
            .is_some_and(|former| initramfs::is_that_of(former.as_fd(), root.as_fd(), &files))
        {
            let notes = initramfs::check(root.as_fd(), &files)?;
            notes.iter().for_each(|note| log::warn!("{note}"));
        }
        let stateroot = directory::open(sysroot.root(), &stateroot)?;
        var::fill_if_empty(stateroot.as_fd(), root.as_fd(), labeler.as_ref())?;
        labeler.iter().try_for_each(|labeler| labels::label_var_once(stateroot.as_fd(), labeler))?;
        if etc == Etc::Merged {
            var::mark_outdated(stateroot.as_fd())?;
        }
        backing::create(sysroot, &plan.path)?;
        etc::write_down(sysroot, &plan.path, &tree.conflicts)?;
        sysroot.write_origin(&plan.path, &plan.origin)?;
        labeler.iter().try_for_each(|labeler| labeler.label_origin(sysroot, &plan.path))?;
        // Last: nothing may be made or removed at the top of an immutable directory.
        set_immutable(root.as_fd(), true)?;
        Ok(tree)
    }

    /// Something refers to the tree from now on.
    pub(super) fn keep(mut self) -> Made {
        self.kept = true;
        let (conflicts, stale_policy) = (std::mem::take(&mut self.conflicts), self.stale_policy.take());
        Made { etc: self.etc, conflicts, stale_policy }
    }

    #[context("Checking out {}", plan.path.checksum)]
    fn check_out(&self, plan: &DeployPlan) -> Result<OwnedFd> {
        let path = plan.path.to_string();
        let options = CheckoutOptions { passthrough_whiteouts: true, ..CheckoutOptions::default() };
        self.sysroot.repo().checkout_reusing(
            &options,
            self.sysroot.root(),
            Path::new(&path),
            &plan.path.checksum,
        )?;
        directory::open(self.sysroot.root(), &path)
    }

    fn merge_etc(&mut self, old: BorrowedFd<'_>, new: BorrowedFd<'_>) -> Result<()> {
        let merged = etc::merge(old, new, Moment::Asked)?;
        self.etc = Some(merged.counts);
        self.conflicts = merged.conflicts;
        Ok(())
    }
}

impl Drop for Tree<'_> {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let removed = cleanup::remove_unlinked(self.sysroot, &self.path, self.settings)
            .and_then(|()| self.sysroot.repo().delete_ref(&self.spared));
        if let Err(error) = removed {
            log::warn!(
                "Removing the unfinished {}: {error:#}; `ostree admin cleanup` tries again",
                self.path
            );
        }
    }
}

/// Sets or clears the immutable flag of a deployment's root directory, so that nothing is put there by mistake.
/// A file system without such flags goes without.
pub(crate) fn set_immutable(dir: BorrowedFd<'_>, on: bool) -> Result<()> {
    let Ok(flags) = rustix::fs::ioctl_getflags(dir) else { return Ok(()) };
    let mut wanted = flags;
    wanted.set(IFlags::IMMUTABLE, on);
    if wanted == flags {
        return Ok(());
    }
    rustix::fs::ioctl_setflags(dir, wanted).context("Setting the immutable flag")
}
