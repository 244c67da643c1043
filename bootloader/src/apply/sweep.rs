// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sweeping: what an unproven or an interrupted switch has left to be done.

use anyhow::Result;
use durable::Proof;

use super::error::check_place;
use super::execution::Execution;
use super::removal::Swept;
use crate::places::Places;
use crate::plan::SweepPlan;
use crate::settings::Settings;
use crate::state::BootState;

impl SweepPlan {
    /// Carries the plan out: gives whether a boot loader sees the chosen entries, and what is gone. Nothing is removed while
    /// that is unproven, or while the boot loader is not up to date.
    ///
    /// # Errors
    ///
    /// [`ApplyError::OtherBoot`](crate::ApplyError::OtherBoot), before anything is written; a step that fails.
    #[fn_error_context::context("Sweeping /boot")]
    pub fn apply(&self, places: Places<'_>, settings: &Settings) -> Result<(Proof, Swept)> {
        let mut execution = Execution::begin_sweep(self, places, settings)?;
        for step in self.steps() {
            execution.run(&step)?;
        }
        let (proof, _, swept, _) = execution.end()?;
        Ok((proof, swept))
    }
}

/// Removes what the entries that are chosen now do not need, if a boot loader can see no others: plans it and carries it out.
///
/// This is what is left of a switch that could not be proven, and of one that was interrupted. Does nothing while
/// it is unproven.
pub fn sweep(places: Places<'_>, settings: &Settings) -> Result<(Proof, Swept)> {
    check_place(places, settings)?;
    SweepPlan::new(&BootState::read(places)?, settings)?.apply(places, settings)
}
