// SPDX-License-Identifier: MIT OR Apache-2.0
//! The part of a later switch that can be done before it: boot files and entries, where nobody reads them yet.
//!
//! ```text
//! /boot/.ostree-staged-loader/entries/ostree-2.conf …      as the switch would write them now
//! ```
//!
//! They are read back by a boot loader's rules, so that what is wrong with them is found while somebody is there to read it. The
//! switch takes over what is still as it would write it, by its name; what is different by then, or gone, it writes anew.

use anyhow::{Context, Result};

use super::execution::Execution;
use crate::places::Places;
use crate::plan::{Step, SwitchPlan};
use crate::settings::Settings;

impl SwitchPlan {
    /// Brings the boot files of a plan that is carried out later to `/boot`, writes its entries where no loader reads them, and reads
    /// them back: the [`prestage_steps`](Self::prestage_steps). The place of the new set is cleared, which no loader sees.
    ///
    /// # Errors
    ///
    /// As [`apply`](Self::apply), so that a refusal is told while there is somebody who reads it.
    pub fn prestage(&self, places: Places<'_>, settings: &Settings) -> Result<()> {
        let mut execution = Execution::begin(self, places, settings)?;
        for step in self.prestage_steps() {
            let done = execution.run(&step);
            if step == Step::ProvePrevious { done? } else { done.with_context(|| step.to_string())? }
        }
        Ok(())
    }
}
