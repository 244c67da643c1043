// SPDX-License-Identifier: MIT OR Apache-2.0
//! The plan of a sweep: what an unproven or an interrupted switch has left to be done.

use super::leftovers::leftovers;
use super::steps::{Of, Step};
use crate::loader::{AfterSwitch, LoaderError};
use crate::names::aside;
use crate::settings::Settings;
use crate::state::BootState;

/// Work that the previous switch has left for a boot loader.
pub(crate) fn finish(state: &BootState, settings: &Settings) -> Result<Option<AfterSwitch>, LoaderError> {
    match state.entries.first().filter(|_| state.unfinished.is_some()) {
        Some(default) => {
            settings.installed.loader.after_switch(&settings.installed, &default.entry).map(Some)
        }
        None => Ok(None),
    }
}

/// The steps of an update of the boot loader, up to the stamp.
pub(super) fn update_steps(of: Of, update: &AfterSwitch) -> Vec<Step> {
    let mut steps = Vec::new();
    if *update != AfterSwitch::Nothing {
        steps.push(Step::Update { of, update: update.clone() });
    }
    match update {
        AfterSwitch::Link { path, .. } => {
            steps.push(Step::ProveUpdate(of));
            steps.push(Step::RemoveAside { path: format!("/boot/{}", aside(path)) });
        }
        AfterSwitch::Stub { .. } => steps.push(Step::ProveUpdate(of)),
        AfterSwitch::Nothing | AfterSwitch::Run(_) => {}
    }
    steps.push(Step::SettleStamp(of));
    steps
}

/// The steps that come before all others: the proof of the previous switch, and what that has left to be done.
pub(super) fn previous_steps(prove: bool, finish: Option<&AfterSwitch>, boot_version: u8) -> Vec<Step> {
    let mut steps = Vec::new();
    if prove || finish.is_some() {
        steps.push(Step::ProvePrevious);
    }
    if let Some(update) = finish {
        steps.push(Step::Note { of: Of::Previous, boot_version });
        steps.extend(update_steps(Of::Previous, update));
    }
    steps
}

/// The steps that remove what nobody needs.
pub(super) fn removal_steps(note: bool, sweep: &[String], stale_temps: &[String]) -> Vec<Step> {
    let mut steps = Vec::new();
    if note {
        steps.push(Step::RemoveNote);
    }
    steps.extend(sweep.iter().map(|path| Step::Sweep { path: path.clone() }));
    if !stale_temps.is_empty() {
        steps.push(Step::ProveStale);
    }
    steps.extend(stale_temps.iter().map(|path| Step::RemoveStale { path: path.clone() }));
    steps
}

/// Whether something in `/boot/ostree` is removed.
pub(super) fn empties_boot_files(sweep: &[String]) -> bool {
    sweep.iter().any(|path| path.starts_with("/boot/ostree/"))
}

/// Temporary names that no other step of a plan removes.
pub(super) fn other_temps(state: &BootState, update: Option<&AfterSwitch>, force: bool) -> Vec<String> {
    let of_update = match update {
        Some(AfterSwitch::Link { path, .. }) => Some(format!("/boot/{}", aside(path))),
        _ => None,
    };
    let of_boot_files = force.then(|| format!("/boot/{}", aside("ostree")));
    let is_other =
        |path: &&String| Some(*path) != of_update.as_ref() && Some(*path) != of_boot_files.as_ref();
    state.stale_temps.iter().filter(is_other).cloned().collect()
}

/// A sweep as plain data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepPlan {
    /// The work that the previous switch has left for a boot loader.
    pub finish: Option<AfterSwitch>,
    /// The set that is chosen.
    pub boot_version: u8,
    /// Whether there is a note to be removed.
    pub note: bool,
    /// Whether `/boot/ostree` gets the shape that it keeps first.
    pub force_block_format: bool,
    /// Paths that the chosen entries do not need.
    pub sweep: Vec<String>,
    /// Paths that an interruption has left under temporary names.
    pub stale_temps: Vec<String>,
}

impl SweepPlan {
    /// Plans a sweep of what is there; of a menu that is not whole nothing is removed.
    ///
    /// # Errors
    ///
    /// The work that the previous switch has left cannot be done for this loader.
    pub fn new(state: &BootState, settings: &Settings) -> Result<Self, LoaderError> {
        let finish = finish(state, settings)?;
        let is_whole = state.check().is_ok();
        let sweep = if is_whole { leftovers(state, settings) } else { Vec::new() };
        let force = state.needs_block_format && empties_boot_files(&sweep);
        Ok(Self {
            boot_version: state.boot_version(),
            note: is_whole && (state.record.is_some() || finish.is_some()),
            force_block_format: force,
            stale_temps: if is_whole { other_temps(state, finish.as_ref(), force) } else { Vec::new() },
            finish,
            sweep,
        })
    }

    /// All that applying does, in this order.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = previous_steps(true, self.finish.as_ref(), self.boot_version);
        let mut removal = removal_steps(self.note, &self.sweep, &self.stale_temps);
        if self.force_block_format {
            removal.insert(usize::from(self.note), Step::ForceBlockFormat);
        }
        steps.extend(removal);
        steps
    }

    /// Whether there is nothing to be done but a proof.
    pub fn is_empty(&self) -> bool {
        self.steps().len() <= 1
    }
}
