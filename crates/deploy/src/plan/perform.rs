// SPDX-License-Identifier: MIT OR Apache-2.0
//! Carrying a plan out: each of its tasks in turn, and nothing else.

use anyhow::{Context, Result};
use bootloader::{BootState, Outcome, Settings, SwitchPlan};
use durable::{Proof, fault};
use formats::bootlink::DeploymentPath;
use sysroot::{Loaded, Lock, Sysroot, reserve};

use super::task::{Action, Task};
use crate::early_prune::{self, EarlyPrune};
use crate::etc::Moment;
use crate::overlay_initrds::{self, OverlayInitrd};
use crate::removal::{self, Cleaned, Retire};
use crate::staged::{self, persistent};
use crate::tree::{Made, Tree, TreePlan};
use crate::{finalize_service, finalize_stamp, labels, origin};

/// The facts that all tasks share.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) settings: Settings,
    /// Of a new deployment.
    pub(super) tree: Option<TreePlan>,
    /// Whether the tree of one deployment that goes may become the checkout cache.
    pub(super) retire: bool,
    /// Whether a proof is told with what was cleaned up.
    pub(super) tell_proof: bool,
    /// Whether a failure of the cleanup is none of the whole.
    pub(super) is_lenient: bool,
}

/// The state between two tasks.
pub(super) struct Performance<'a> {
    lock: &'a Lock<'a>,
    loaded: &'a Loaded,
    facts: &'a Facts,
    tree: Option<Tree<'a>>,
    pub(super) made: Made,
    pub(super) switched: Option<(SwitchPlan, Outcome)>,
    pub(super) cleaned: Cleaned,
    pub(super) swept: Vec<String>,
    pub(super) unproven: Option<String>,
    pub(super) pinned: usize,
    /// The removals that have made room before.
    early_prune: Option<EarlyPrune>,
    /// The state after the switch, and what is deployed by it.
    after: Option<BootState>,
    now: Option<Loaded>,
    /// Deployments that must stay; known once it is asked for.
    needed: Option<Vec<DeploymentPath>>,
    retired: Option<DeploymentPath>,
}

impl<'a> Performance<'a> {
    pub(super) fn new(lock: &'a Lock<'a>, loaded: &'a Loaded, facts: &'a Facts) -> Self {
        let sysroot = lock.sysroot();
        let tree = facts.tree.as_ref().map(|plan| Tree::new(sysroot, &facts.settings, plan));
        Self {
            lock,
            loaded,
            facts,
            tree,
            made: Made::default(),
            switched: None,
            cleaned: Cleaned::default(),
            swept: Vec::new(),
            unproven: None,
            pinned: 0,
            early_prune: None,
            after: None,
            now: None,
            needed: None,
            retired: None,
        }
    }

    /// Does all tasks. Of what follows [`Action::Committed`] a failure is told, and the rest is left to the next cleanup.
    pub(super) fn run(&mut self, tasks: &[Task]) -> Result<()> {
        let mut is_committed = false;
        let is_new = self.facts.tree.as_ref().is_some_and(|tree| tree.moment == Moment::Asked);
        for task in tasks {
            is_committed |= self.facts.is_lenient && matches!(task.action, Action::Committed);
            let done = self.perform(&task.action);
            let done = if is_new && matches!(task.action, Action::Tree(_)) {
                done.context("Deploying tree")
            } else {
                done
            };
            match done {
                Err(error) if is_committed => {
                    log::warn!("{error:#}; `ostree admin cleanup` tries again");
                    self.cleaned = Cleaned::default();
                    return Ok(());
                }
                done => done?,
            }
        }
        Ok(())
    }

    fn sysroot(&self) -> &'a Sysroot {
        self.lock.sysroot()
    }

    fn perform(&mut self, action: &Action) -> Result<()> {
        let sysroot = self.sysroot();
        let settings = &self.facts.settings;
        match action {
            Action::StartService => finalize_service::start(),
            Action::StageInitrd(initrd) => OverlayInitrd::stage(initrd),
            Action::Tree(step) => {
                let tree = self.tree.as_mut().context("There is no deployment to be made")?;
                tree.run(*step, self.loaded)
            }
            Action::ReleaseReserve => {
                reserve::release(sysroot.places());
                Ok(())
            }
            Action::PruneEarly(prune) => {
                early_prune::make_room(sysroot, prune, settings)?;
                self.early_prune = Some((**prune).clone());
                Ok(())
            }
            Action::Switch(plan) => {
                let mut plan = self.after_room(plan)?;
                labels::label_copies(sysroot, &mut plan);
                let places = sysroot.places();
                let outcome = match &self.early_prune {
                    // Another switch was made since.
                    Some(_) => plan.apply(places, settings)?,
                    None => plan.apply_to(self.loaded.boot.clone(), places, settings)?,
                };
                self.after = Some(outcome.state.clone());
                self.switched = Some((plan, outcome));
                Ok(())
            }
            Action::Prestage(plan) => {
                let mut plan = self.after_room(plan)?;
                labels::label_copies(sysroot, &mut plan);
                // Where the C tools clean up, the kernels go again, and then they are copied at shutdown.
                plan.prestage(sysroot.places(), settings)
            }
            Action::Sweep(plan) => {
                let (proof, swept) = plan.apply(sysroot.places(), settings)?;
                if let Proof::Unproven(reason) = proof {
                    self.unproven = Some(reason.to_string());
                }
                self.swept = swept.removed;
                Ok(())
            }
            // At shutdown somebody would wait for the disk.
            Action::SyncRoot => durable::sync_fs(sysroot.root()),
            // Before the plan was made: a shutdown that ends in the middle of that counts as well.
            Action::Begun => Ok(()),
            Action::WriteRecords(record, menu) => {
                let written = staged::write_staged(sysroot, record, menu.clone());
                if written.is_err() && self.tree.is_some() {
                    // The tree that is being made goes now, and no record may name it.
                    staged::remove_staged(sysroot).unwrap_or_else(|error| log::warn!("{error:#}"));
                }
                written
            }
            Action::RemoveRecords => staged::remove_staged(sysroot),
            Action::ForgetPersistent => persistent::forget_kept(sysroot),
            Action::Notify(menu) => persistent::touch_staged(sysroot, menu.clone()),
            Action::ForgetInitrds(checksums) => {
                overlay_initrds::forget(checksums);
                Ok(())
            }
            Action::Committed => self.commit(),
            Action::RemoveCache => sysroot.repo().remove_checkout_cache(),
            Action::RemoveDeployment(path) => self.remove_deployment(path),
            Action::SetRef(name, commit) => sysroot.repo().set_ref(&name.parse()?, commit),
            Action::DeleteRef(name) => {
                // Somebody else may have removed it.
                let there = sysroot.deployment_refs()?.contains(name);
                if there { sysroot.repo().delete_ref(&name.parse()?) } else { Ok(()) }
            }
            Action::Prune => {
                let pruned = removal::prune_objects(sysroot, self.retired.as_ref());
                let is_trimmed = match &pruned {
                    Ok(report) => !report.untrimmed,
                    Err(_) => self.is_trimmed(),
                };
                self.give_up_untrimmed(is_trimmed)?;
                self.cleaned.pruned = Some(pruned?);
                Ok(())
            }
            Action::TrimCache => {
                let is_trimmed = self.is_trimmed();
                self.give_up_untrimmed(is_trimmed)
            }
            Action::FillReserve => {
                reserve::fill(sysroot.places(), self.loaded.boot.boot_on_root);
                Ok(())
            }
            Action::Pin(path, on) => {
                self.pinned += usize::from(origin::pin(self.lock, path, *on)?);
                Ok(())
            }
            Action::RemoveStamp => {
                finalize_stamp::remove_stamp(sysroot).unwrap_or_else(|error| log::warn!("{error:#}"));
                Ok(())
            }
        }
    }

    /// Gives a planned switch, or where room was made for it, the one from the state that there is now.
    fn after_room(&self, planned: &SwitchPlan) -> Result<SwitchPlan> {
        match &self.early_prune {
            None => Ok(planned.clone()),
            Some(prune) => early_prune::plan_switch(self.sysroot(), self.loaded, prune, &self.facts.settings),
        }
    }

    /// From here on something refers to the new tree.
    fn commit(&mut self) -> Result<()> {
        if let Some(tree) = self.tree.take() {
            self.made = tree.keep();
        }
        let sysroot = self.sysroot();
        let now = match self.after.take() {
            Some(state) => sysroot.load_in(state)?,
            None => sysroot.load_lenient()?,
        };
        removal::check_whole(&now).context("Cleaning up")?;
        self.now = Some(now);
        fault::point("clean-up");
        if self.facts.tell_proof {
            self.cleaned.unproven = self.unproven.clone();
        }
        Ok(())
    }

    /// Links of the previous entries stay for as long as a boot loader may see these, and so do their deployments.
    fn remove_deployment(&mut self, path: &DeploymentPath) -> Result<()> {
        let sysroot = self.sysroot();
        if self.needed.is_none() {
            let now = self.now.take().map_or_else(|| sysroot.load_lenient(), Ok)?;
            self.needed = Some(removal::needed_deployments(sysroot, &now, &self.facts.settings)?);
        }
        if self.needed.iter().flatten().any(|needed| needed == path) {
            return Ok(());
        }
        let retire = if self.facts.retire { Retire::WhatServes } else { Retire::Nothing };
        match removal::remove_deployment(sysroot, path, retire).context("Cleaning up")? {
            removal::Gone::Retired => self.retired = Some(path.clone()),
            removal::Gone::Removed(left) if left.is_empty() => {}
            removal::Gone::Removed(left) => {
                self.cleaned.left.extend(left);
                return Ok(());
            }
        }
        self.cleaned.deployments.push(path.clone());
        Ok(())
    }

    /// Removes from the checkout cache what a deployment had for itself; tells whether that is gone.
    fn is_trimmed(&self) -> bool {
        let trimmed = self.sysroot().repo().trim_checkout_cache();
        trimmed.inspect_err(|error| log::info!("{error:#}")).is_ok()
    }

    fn give_up_untrimmed(&mut self, is_trimmed: bool) -> Result<()> {
        if is_trimmed {
            return Ok(());
        }
        removal::give_up_retired(self.sysroot(), self.retired.take(), &mut self.cleaned)
    }
}
