// SPDX-License-Identifier: MIT OR Apache-2.0
//! Carrying a switch out.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use durable::Proof;

use super::error::{ApplyError, check_place};
use super::execution::Execution;
use super::removal::{self, Swept};
use crate::files::CopyFile;
use crate::pending::Pending;
use crate::places::Places;
use crate::plan::{self, Change, Step, SwitchPlan};
use crate::record::Record;
use crate::settings::Settings;
use crate::state::BootState;

/// The outcome of a switch.
#[derive(Debug)]
pub struct Outcome {
    /// The kind of change.
    pub change: Change,
    /// Whether a boot loader sees it. If not, nothing of the old entries was removed, and their deployments must
    /// stay as well: see [`linked_deployments`](crate::linked_deployments).
    pub proof: Proof,
    /// Why the boot loader still boots from the old set although the new one is chosen: its tool, or the change of its
    /// first file, has failed. Nothing was removed; it is done again by the next switch or sweep.
    pub unfinished: Option<String>,
    /// The paths that were removed.
    pub swept: Swept,
    /// The state between the commit and the sweep: the new entries are chosen, and nothing of the old ones is gone.
    pub state: BootState,
}

impl SwitchPlan {
    /// Whether the plan can be begun now, as far as that can be told without a proof of the previous switch. Writes nothing, and
    /// runs no program.
    ///
    /// # Errors
    ///
    /// [`ApplyError`]: what [`apply`](Self::apply) refuses before its first step, and want of space.
    pub fn check(&self, places: Places<'_>, settings: &Settings) -> Result<()> {
        check_place(places, settings)?;
        let state = BootState::read(places)?;
        self.check_state(&state)?;
        match self.shortage(places, &state, settings)? {
            Some(shortage) => Err(ApplyError::NoSpace(shortage).into()),
            None => Ok(()),
        }
    }

    /// Carries the plan out: all of its [steps](Self::steps) in their order, and nothing else.
    ///
    /// The caller holds the sysroot's lock, and the deployments are complete; they need not be synced. Until the
    /// commit an error leaves the old entries as they were, and what was staged is removed again.
    ///
    /// # Errors
    ///
    /// A previous switch that a boot loader may not see yet is [`PlanError::RebootFirst`](crate::PlanError::RebootFirst), and a
    /// `/boot` that is too small [`ApplyError::NoSpace`]; both are found before anything is written.
    pub fn apply(&self, places: Places<'_>, settings: &Settings) -> Result<Outcome> {
        self.apply_to(BootState::read(places)?, places, settings)
    }

    /// Carries the plan out as [`apply`](Self::apply) does, in a state that the caller has read under the lock.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn apply_to(&self, state: BootState, places: Places<'_>, settings: &Settings) -> Result<Outcome> {
        let mut execution = Execution::begin_in(state, self, places, settings)?;
        let mut is_staging = false;
        for step in self.steps() {
            is_staging |= step == Step::SyncDeployments;
            match execution.run(&step) {
                Err(error) if is_staging => {
                    if !step.is_commit(self.change) {
                        self.undo(places)
                            .unwrap_or_else(|undo| log::warn!("Removing what was staged: {undo:#}"));
                    }
                    return Err(error).with_context(|| step.to_string());
                }
                done => done?,
            }
            is_staging &= !step.is_commit(self.change);
        }
        let (proof, unfinished, swept, state) = execution.end()?;
        if let Proof::Unproven(reason) = &proof {
            log::info!("The boot loader may see the old entries until the next reboot: {reason}");
        }
        let state = state.map_or_else(|| BootState::read(places), Ok)?;
        Ok(Outcome { change: self.change, proof, unfinished, swept, state })
    }

    /// Whether this is the state that the plan was made for.
    pub(super) fn check_state(&self, state: &BootState) -> Result<(), ApplyError> {
        let is_in_the_way = |path: String| !self.clear.contains(&path);
        let links = format!("/ostree/{}", self.to.links_dir());
        let loader = format!("/boot/{}", self.to.loader_dir());
        let new_links = self.change != Change::Nothing
            && state.bootlink_names.contains(&self.to.links_dir())
            && is_in_the_way(links);
        let new_set = self.change == Change::Entries
            && state.loader_names.contains(&self.to.loader_dir())
            && is_in_the_way(loader);
        if state.slot() != self.from || state.check().is_err() || new_links || new_set {
            return Err(ApplyError::Changed);
        }
        Ok(())
    }

    /// Removes what was staged; the chosen entries have nothing to do with it.
    fn undo(&self, places: Places<'_>) -> Result<()> {
        let mut swept = Swept::default();
        let mut remove = |path: String| removal::remove(places, &path, &mut swept);
        remove(format!("/ostree/{}", self.to.links_dir()))?;
        if self.change != Change::Entries {
            return Ok(());
        }
        remove("/boot/loader.tmp".to_owned())?;
        remove(format!("/boot/{}", self.to.loader_dir()))?;
        remove(format!("/ostree/{}", self.to.link()))?;
        let state = BootState::read(places)?;
        let copied: BTreeSet<&str> = self.copy.iter().filter_map(|copy| copy.to.split('/').nth(1)).collect();
        for path in plan::leftovers(&state, &Settings::default()) {
            let is_copy = |copy: &CopyFile| path.strip_prefix("/boot/") == Some(&copy.to);
            if path.strip_prefix("/boot/ostree/").is_some_and(|dir| copied.contains(dir))
                || self.copy.iter().any(is_copy)
            {
                remove(path)?;
            }
        }
        Pending::forget(&self.after, places)?;
        Record::remove(places.root)
    }
}
