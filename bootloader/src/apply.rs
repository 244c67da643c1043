// SPDX-License-Identifier: MIT OR Apache-2.0
//! Carrying a plan out: stage, verify, commit, prove, sweep.

mod after;
mod left;
pub(crate) mod rehearse;
mod steps;
mod verify;

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use durable::fault::{self, Mutant};
use durable::{Method, Proof};

use crate::former::{Record, prove_former};
use crate::loader::place;
use crate::plan::{Change, CopyFile, PlanError, Settings, SwitchPlan};
use crate::space::Shortage;
use crate::state::{BootState, LoaderLink, Places};
use crate::steady::steady;
use crate::sweep::{self, Swept};

pub(crate) use after::Pending;
pub use after::unfinished;
pub(crate) use left::left_behind;
pub use steps::Step;
pub use verify::VerifyError;

/// What a switch has come to.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What was changed.
    pub change: Change,
    /// Whether a boot loader sees it. If not, nothing of the old entries was removed, and their deployments must
    /// stay as well: see [`linked_deployments`](crate::linked_deployments).
    pub proof: Proof,
    /// Why the boot loader still boots from the old set although the new one is chosen: its tool, or the change of its
    /// first file, has failed. Nothing was removed; it is done again by the next switch or sweep.
    pub unfinished: Option<String>,
    /// What was removed.
    pub swept: Swept,
}

/// Why a plan is not carried out, with nothing written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Somebody else was faster.
    #[error("The boot entries have changed since this was planned; try again")]
    Changed,
    /// What the last switch has left to be done fails still.
    #[error(
        "The boot loader was not updated after the last switch, and still boots from the entries before it: {0}; repair that first"
    )]
    Unfinished(String),
    /// The boot files do not fit.
    #[error("{0}")]
    NoSpace(Shortage),
    /// A `/boot` that the machine does not boot from.
    #[error(
        "The file system at /boot is not the one that the machine was booted from, which is {0} by `boot=` on the kernel command line; \
         mount that one at /boot and try again"
    )]
    OtherBoot(String),
}

/// Nothing is written to a second `/boot` with the same label, or one that a former disk has left.
pub(crate) fn check_place(places: Places<'_>, settings: &Settings) -> Result<()> {
    match &settings.boot_argument {
        Some(argument) if place::is_another(places.boot, argument)? => {
            Err(ApplyError::OtherBoot(argument.clone()).into())
        }
        _ => Ok(()),
    }
}

impl SwitchPlan {
    /// Whether the plan could be carried out now: what [`SwitchPlan::apply`] refuses, it finds without writing
    /// anything. For a switch that is made later, when nobody is there to read why it was refused.
    pub fn check(&self, places: Places<'_>, settings: &Settings) -> Result<()> {
        check_place(places, settings)?;
        let state = BootState::read(places)?;
        self.check_former(places, &state, settings)?;
        self.finish_former(places, &state, settings)?;
        self.check_space(places, &state, settings)
    }

    /// Carries the plan out.
    ///
    /// The caller holds the sysroot's lock, and the deployments are complete; they need not be synced. Until the
    /// commit an error leaves the old entries as they were, and what was staged is removed again. A former switch that
    /// a boot loader may not see yet is [`PlanError::RebootFirst`], and a `/boot` that is too small
    /// [`ApplyError::NoSpace`]; both are found before anything is written.
    pub fn apply(&self, places: Places<'_>, settings: &Settings) -> Result<Outcome> {
        check_place(places, settings)?;
        let state = BootState::read(places)?;
        if state.slot() != self.from || state.check().is_err() {
            return Err(ApplyError::Changed.into());
        }
        let former = self.check_former(places, &state, settings)?;
        self.finish_former(places, &state, settings)?;
        self.check_space(places, &state, settings)?;
        if self.change == Change::Entries {
            steady(places.boot, settings.freezing)?;
        }
        for step in self.steps() {
            if let Err(err) = self.run(&step, places, settings) {
                if step.is_commit(self.change) {
                    return Err(err).with_context(|| step.to_string());
                }
                if let Err(undo) = self.undo(places) {
                    log::warn!("Removing what was staged: {undo:#}");
                }
                return Err(err).with_context(|| step.to_string());
            }
        }
        if Mutant::SweepBeforeProve.is_on() {
            sweep::sweep_proven(places, &BootState::read(places)?, &Proof::Proven(Method::Sync), settings)?;
        }
        let proof = match self.change {
            // The links are read by the initramfs, which replays the journal: what was proven still is.
            Change::Nothing | Change::Bootlinks => former,
            Change::Entries => durable::prove(places.boot, settings.freezing)?,
        };
        let proof = match self.change {
            Change::Entries => after::run(&self.after, places, settings, proof)?,
            Change::Nothing | Change::Bootlinks => proof,
        };
        if let Proof::Unproven(reason) = &proof {
            log::info!("The boot loader may see the old entries until the next reboot: {reason}");
        }
        if self.change == Change::Entries
            && let Err(error) = rehearse::forget(places.boot)
        {
            log::warn!("{error:#}");
        }
        fault::point("before-sweep");
        let pending = Pending::of(places)?;
        let swept = match &pending {
            None => self.sweep(places, &proof, settings)?,
            Some(pending) => {
                log::warn!("The boot loader still boots from the old entries: {}", pending.reason);
                Swept::default()
            }
        };
        Ok(Outcome { change: self.change, proof, unfinished: pending.map(|pending| pending.reason), swept })
    }

    /// What the boot loader still boots from must not be written over.
    fn finish_former(&self, places: Places<'_>, state: &BootState, settings: &Settings) -> Result<()> {
        match Pending::finish(places, state, settings)? {
            Some(pending) if self.change == Change::Entries => {
                Err(ApplyError::Unfinished(pending.reason).into())
            }
            _ => Ok(()),
        }
    }

    /// The two-slot rule. Only a new set of entries touches what an old one may still be read from.
    fn check_former(&self, places: Places<'_>, state: &BootState, settings: &Settings) -> Result<Proof> {
        if state.loader == LoaderLink::Missing {
            return Ok(Proof::Proven(Method::Sync));
        }
        let former = prove_former(places, state, settings)?;
        match &former {
            Proof::Unproven(reason) if self.change == Change::Entries && !settings.offline => {
                Err(PlanError::RebootFirst(reason.to_string()).into())
            }
            _ => Ok(former),
        }
    }

    /// Whether everything fits.
    fn check_space(&self, places: Places<'_>, state: &BootState, settings: &Settings) -> Result<()> {
        match self.shortage(places, state, settings)? {
            Some(shortage) => Err(ApplyError::NoSpace(shortage).into()),
            None => Ok(()),
        }
    }

    fn sweep(&self, places: Places<'_>, proof: &Proof, settings: &Settings) -> Result<Swept> {
        let state = BootState::read(places)?;
        let mut swept = sweep::sweep_proven(places, &state, proof, settings)?;
        if self.change == Change::Bootlinks {
            // Nobody reads the former links: the one that leads to them is durably switched.
            let former = format!("/ostree/{}", self.from.links_dir());
            if !swept.removed.contains(&former) {
                sweep::remove(places, &former, &mut swept)?;
            }
        }
        Ok(swept)
    }

    /// Removes what was staged; the chosen entries have nothing to do with it.
    fn undo(&self, places: Places<'_>) -> Result<()> {
        let mut swept = Swept::default();
        let mut remove = |path: String| sweep::remove(places, &path, &mut swept);
        remove(format!("/ostree/{}", self.to.links_dir()))?;
        if self.change != Change::Entries {
            return Ok(());
        }
        remove("/boot/loader.tmp".to_owned())?;
        remove(format!("/boot/{}", self.to.loader_dir()))?;
        remove(format!("/ostree/{}", self.to.link()))?;
        let state = BootState::read(places)?;
        let texts: Vec<String> = state.entries.iter().map(|entry| entry.entry.to_string()).collect();
        let copied: BTreeSet<&str> = self.copy.iter().filter_map(|copy| copy.to.split('/').nth(1)).collect();
        for path in sweep::list(&state, self.from, &texts, &Settings::default()) {
            let is_copy = |copy: &CopyFile| path.strip_prefix("/boot/") == Some(&copy.to);
            if path.strip_prefix("/boot/ostree/").is_some_and(|dir| copied.contains(dir))
                || self.copy.iter().any(is_copy)
            {
                remove(path)?;
            }
        }
        Pending::forget(self, places)?;
        Record::remove(places.root)
    }
}
