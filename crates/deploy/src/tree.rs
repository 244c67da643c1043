// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tree of a new deployment, step by step from the empty place to one that a boot entry may name.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use anyhow::{Context, Result};
use bootloader::Settings;
use durable::fault;
use etc_merge::Attributes;
use fn_error_context::context;
use formats::bootlink::DeploymentPath;
use repo::CheckoutOptions;
use repo::Refspec;
use selinux::{Labeler, Selinux};
use sysroot::directory::{self, make_dir};
use sysroot::{EtcConflict, Loaded, Origin, Sysroot};

use crate::etc::{self, Moment};
use crate::pin_commit::pin_commit;
use crate::preflight::Check;
use crate::{backing, labels, origin, preflight, removal, seal, var};

/// One thing that is done to a new deployment. They are done in the order of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TreeStep {
    /// Makes the ref that keeps the commit's objects.
    PinCommit,
    /// Makes the directory of the stateroot's deployments.
    MakeParent,
    /// Checks the tree out.
    CheckOut,
    /// Makes `/etc` from the defaults.
    CopyEtc,
    /// Refuses a merge that the policies of `/etc` would refuse; writes nothing.
    CheckPolicies,
    /// Merges the local changes into `/etc`.
    MergeEtc,
    /// Compiles the SELinux policy again, with the local changes.
    RefreshPolicy,
    /// Labels the merged `/etc` and the `/var`.
    LabelMerged,
    /// Refuses a tree that could not be booted; writes nothing.
    Check,
    /// Fills the stateroot's `/var`.
    FillVar,
    /// Labels the stateroot's `/var`, once.
    LabelVar,
    /// Removes the stamp that says that `/var` is up to date.
    MarkVarOutdated,
    /// Makes the backing directory.
    MakeBacking,
    /// Writes the conflicts of the merge down.
    WriteConflicts,
    /// Writes the origin.
    WriteOrigin,
    /// Makes the deployment immutable.
    Seal,
}

/// The facts of a deployment that its steps need.
#[derive(Debug, Clone)]
pub(crate) struct TreePlan {
    pub(crate) path: DeploymentPath,
    pub(crate) merge: Option<DeploymentPath>,
    pub(crate) origin: Origin,
    pub(crate) selinux: Selinux,
    pub(crate) ignore: Vec<Check>,
    /// When the merge happens.
    pub(crate) moment: Moment,
    /// Whether the merge carries extended attributes over.
    pub(crate) attributes: Attributes,
}

/// A tree that nothing refers to yet. Dropped without [`Tree::keep`], a new one is removed again, unless the switch failed
/// so late that a boot link leads to it.
pub(crate) struct Tree<'a> {
    sysroot: &'a Sysroot,
    settings: &'a Settings,
    plan: &'a TreePlan,
    /// Whether it was made here, and goes after a failure.
    is_new: bool,
    kept: bool,
    root: Option<OwnedFd>,
    labeler: Option<Labeler>,
    made: Made,
    /// The ref that keeps its objects.
    commit_ref: Option<Refspec>,
}

/// The findings of the work on a tree.
#[derive(Debug, Default)]
pub(crate) struct Made {
    /// How much the merge has modified, removed and added.
    pub(crate) etc: Option<[usize; 3]>,
    /// Where it has met the update.
    pub(crate) conflicts: Vec<EtcConflict>,
    /// Why the SELinux policy is not compiled again.
    pub(crate) stale_policy: Option<String>,
}

impl<'a> Tree<'a> {
    /// Begins, without writing anything.
    pub(crate) fn new(sysroot: &'a Sysroot, settings: &'a Settings, plan: &'a TreePlan) -> Self {
        Self {
            sysroot,
            settings,
            plan,
            is_new: false,
            kept: false,
            root: None,
            labeler: None,
            made: Made::default(),
            commit_ref: None,
        }
    }

    /// Does one step.
    pub(crate) fn run(&mut self, step: TreeStep, loaded: &Loaded) -> Result<()> {
        let (sysroot, path) = (self.sysroot, &self.plan.path);
        match step {
            TreeStep::PinCommit => {
                self.commit_ref = Some(pin_commit(sysroot, loaded, &path.checksum)?);
                self.is_new = true;
                Ok(())
            }
            TreeStep::MakeParent => {
                make_dir(sysroot.root(), &format!("ostree/deploy/{}/deploy", path.stateroot), 0o755)
            }
            TreeStep::CheckOut => {
                let root = self.check_out()?;
                fault::point("checkout");
                self.labeler = self.plan.selinux.labeler(root.as_fd())?;
                self.root = Some(root);
                Ok(())
            }
            TreeStep::CopyEtc => {
                let labeler = self.labeler.take();
                let made = etc::create(self.root()?.as_fd(), labeler.as_ref());
                self.labeler = labeler;
                made
            }
            TreeStep::CheckPolicies => {
                let Some(merge) = &self.plan.merge else { return Ok(()) };
                let old = directory::open(sysroot.root(), &merge.to_string())?;
                etc::check_policies(old.as_fd(), self.root()?.as_fd())
            }
            TreeStep::MergeEtc => self.merge_etc(),
            TreeStep::RefreshPolicy => self.refresh_policy(),
            TreeStep::LabelMerged => self.label_merged(),
            TreeStep::Check => {
                let ignore = &self.plan.ignore;
                preflight::check(self.root()?.as_fd(), ignore)
            }
            TreeStep::FillVar => {
                let stateroot = self.stateroot()?;
                let labeler = self.labeler.take();
                let filled = var::fill_if_empty(stateroot.as_fd(), self.root()?.as_fd(), labeler.as_ref());
                self.labeler = labeler;
                filled
            }
            TreeStep::LabelVar => {
                let stateroot = self.stateroot()?;
                self.labeler
                    .iter()
                    .try_for_each(|labeler| selinux::label_var_once(stateroot.as_fd(), labeler))
            }
            TreeStep::MarkVarOutdated => var::mark_outdated(self.stateroot()?.as_fd()),
            TreeStep::MakeBacking => backing::create(sysroot, path),
            TreeStep::WriteConflicts => self.write_conflicts(),
            TreeStep::WriteOrigin => self.write_origin(),
            // Last: nothing may be made or removed at the top of an immutable directory.
            TreeStep::Seal => seal::seal(sysroot, self.root()?.as_fd()),
        }
    }

    /// Something refers to the tree from now on.
    pub(crate) fn keep(mut self) -> Made {
        self.kept = true;
        std::mem::take(&mut self.made)
    }

    /// The directory of the deployment: that which was checked out, or one that was staged before.
    fn root(&mut self) -> Result<&OwnedFd> {
        if self.root.is_none() {
            let there = directory::open(self.sysroot.root(), &self.plan.path.to_string());
            self.root = Some(there.context("The staged deployment is gone")?);
        }
        self.root.as_ref().context("There is no tree")
    }

    fn stateroot(&self) -> Result<OwnedFd> {
        directory::open(self.sysroot.root(), &format!("ostree/deploy/{}", self.plan.path.stateroot))
    }

    fn at_shutdown(&self) -> bool {
        self.plan.moment == Moment::Shutdown
    }

    #[context("Checking out {}", self.plan.path.checksum)]
    fn check_out(&self) -> Result<OwnedFd> {
        let path = self.plan.path.to_string();
        let options = CheckoutOptions { passthrough_whiteouts: true, ..CheckoutOptions::default() };
        self.sysroot.repo().checkout_reusing(
            &options,
            self.sysroot.root(),
            Path::new(&path),
            &self.plan.path.checksum,
        )?;
        directory::open(self.sysroot.root(), &path)
    }

    fn merge_etc(&mut self) -> Result<()> {
        let Some(merge) = &self.plan.merge else { return Ok(()) };
        let old = directory::open(self.sysroot.root(), &merge.to_string())?;
        let TreePlan { moment, attributes, .. } = *self.plan;
        let merged = etc::merge(old.as_fd(), self.root()?.as_fd(), moment, attributes)?;
        self.made.etc = Some(merged.counts);
        self.made.conflicts = merged.conflicts;
        Ok(())
    }

    fn refresh_policy(&mut self) -> Result<()> {
        if !self.at_shutdown() && self.labeler.is_none() {
            return Ok(());
        }
        let (sysroot, path) = (self.sysroot, &self.plan.path);
        self.made.stale_policy = labels::refresh(sysroot, path, self.root()?.as_fd())?;
        Ok(())
    }

    /// With what the administrator has added to the policy.
    fn label_merged(&mut self) -> Result<()> {
        if self.at_shutdown() {
            let stateroot = self.stateroot()?;
            selinux::label_merged(self.root()?.as_fd(), Some(stateroot.as_fd()));
            return Ok(());
        }
        if self.labeler.is_some() {
            let how = self.plan.selinux;
            self.labeler = how.labeler(self.root()?.as_fd())?;
            let labeler = self.labeler.take();
            let root = self.root()?.as_fd();
            labeler.iter().try_for_each(|labeler| labeler.fill_etc(root))?;
            self.labeler = labeler;
        }
        Ok(())
    }

    fn write_conflicts(&self) -> Result<()> {
        let written = etc::write_down(self.sysroot, &self.plan.path, &self.made.conflicts);
        if self.at_shutdown() {
            // The update is not given up for want of a note.
            written.unwrap_or_else(|error| log::warn!("{error:#}"));
            return Ok(());
        }
        written
    }

    fn write_origin(&self) -> Result<()> {
        let path = &self.plan.path;
        origin::write_origin(self.sysroot, path, &self.plan.origin)?;
        let deployments = directory::open(self.stateroot()?, "deploy")?;
        let name = format!("{}.origin", path.name());
        let label = |labeler: &Labeler| labeler.label_origin(deployments.as_fd(), &name);
        self.labeler.iter().try_for_each(label)
    }
}

impl Drop for Tree<'_> {
    fn drop(&mut self) {
        let Some(commit_ref) = self.commit_ref.as_ref().filter(|_| self.is_new && !self.kept) else { return };
        let path = &self.plan.path;
        let removed = removal::remove_unlinked(self.sysroot, path, self.settings)
            // Its ref keeps the objects of a tree that a boot link leads to.
            .and_then(|is_gone| if is_gone { self.sysroot.repo().delete_ref(commit_ref) } else { Ok(()) });
        if let Err(error) = removed {
            log::warn!("Removing the unfinished {path}: {error:#}; `ostree admin cleanup` tries again");
        }
    }
}
