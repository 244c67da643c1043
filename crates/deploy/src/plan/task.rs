// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tasks of a plan, each with the steps that it is printed as. Applying a plan does its tasks, and nothing else.

use bootloader::{SweepPlan, SwitchPlan};
use formats::Checksum;
use formats::bootlink::DeploymentPath;
use formats::staged::Staged;

use super::step::Step;
use crate::early_prune::EarlyPrune;
use crate::overlay_initrds::OverlayInitrd;
use crate::tree::TreeStep;

/// A part of a plan.
#[derive(Debug, Clone)]
pub(super) struct Task {
    /// The steps that are printed.
    pub(super) steps: Vec<Step>,
    /// The work.
    pub(super) action: Action,
}

/// The work of a task.
#[derive(Debug, Clone)]
pub(super) enum Action {
    /// Starts the service that finalizes at shutdown.
    StartService,
    /// Puts an initrd where it waits.
    StageInitrd(OverlayInitrd),
    /// Does something to the new tree.
    Tree(TreeStep),
    /// Lets go of the reserve where next to nothing is free.
    ReleaseReserve,
    /// Makes room in `/boot`.
    PruneEarly(Box<EarlyPrune>),
    /// Switches the boot menu.
    Switch(Box<SwitchPlan>),
    /// Brings boot files and entries of a later switch to `/boot`.
    Prestage(Box<SwitchPlan>),
    /// Finishes and sweeps the previous switch.
    Sweep(Box<SweepPlan>),
    /// Brings the root to the disk.
    SyncRoot,
    /// The attempt of a finalization is counted, and its volatile record removed, before the rest is planned.
    Begun,
    /// Writes the records of what is staged; with the boot menu that it is staged for.
    WriteRecords(Box<Staged>, Vec<DeploymentPath>),
    /// Removes both records.
    RemoveRecords,
    /// Removes the record on the disk.
    ForgetPersistent,
    /// Tells other programs that the deployments have changed; a staged one stays, with this boot menu.
    Notify(Option<Vec<DeploymentPath>>),
    /// Removes initrds that wait.
    ForgetInitrds(Vec<Checksum>),
    /// The work is done, and what follows cleans up: a failure of that is told, and is none of the whole.
    Committed,
    /// Removes the checkout cache.
    RemoveCache,
    /// Removes a deployment, unless something leads to it.
    RemoveDeployment(DeploymentPath),
    /// Sets a ref.
    SetRef(String, Checksum),
    /// Deletes a ref.
    DeleteRef(String),
    /// Removes objects that nothing needs.
    Prune,
    /// Removes from the checkout cache what a deployment had for itself.
    TrimCache,
    /// Makes the reserve where there is room for it.
    FillReserve,
    /// Pins a deployment, or no longer.
    Pin(DeploymentPath, bool),
    /// Removes the stamp of a failed finalization.
    RemoveStamp,
}

/// The tasks of a plan while it is made.
#[derive(Debug, Clone, Default)]
pub(super) struct Tasks(pub(super) Vec<Task>);

impl Tasks {
    /// Adds a task.
    pub(super) fn push(&mut self, action: Action, steps: impl IntoIterator<Item = Step>) {
        self.0.push(Task { steps: steps.into_iter().collect(), action });
    }

    /// All steps, in their order.
    pub(super) fn steps(&self) -> Vec<Step> {
        self.0.iter().flat_map(|task| task.steps.iter().cloned()).collect()
    }
}
