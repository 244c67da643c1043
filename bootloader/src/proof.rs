// SPDX-License-Identifier: MIT OR Apache-2.0
//! The two-slot rule: a switch begins by proving the previous one.
//!
//! There are two sets of entries, and the new ones are written where the last but one were. As long as a boot
//! loader may still read those (see [`durable::prove`]), they must not be touched. What brings them out of its
//! sight is a proof, or a reboot: mounting replays the journal. So a switch writes down under which boot it was
//! made before it commits, and removes the [note](crate::Record) when it is proven.

use anyhow::Result;
use durable::{Method, Proof};

use crate::places::Places;
use crate::settings::Settings;
use crate::state::BootState;

/// Whether a boot loader sees the entries that are chosen now, as far as that can be brought about.
///
/// To be asked before anything is written for a switch of entries, and when an update is staged: what cannot be
/// done at shutdown must be said before.
#[fn_error_context::context("Proving the previous switch")]
pub fn prove_previous_switch(places: Places<'_>, state: &BootState, settings: &Settings) -> Result<Proof> {
    Ok(by_replay(durable::prove(places.boot, settings.freezing)?, state, settings))
}

/// A switch that is not proven may have been replayed when the file system was mounted.
pub(crate) fn by_replay(proof: Proof, state: &BootState, settings: &Settings) -> Proof {
    if proof.is_proven() {
        return proof;
    }
    let this_boot = match &state.record {
        // A note about the link that is there now.
        Some(record) if record.boot_version == state.boot_version() => record.is_of_this_boot(),
        // None, or one about a switch that did not come to its commit, or that was followed by the C tools' own.
        _ => is_switched_by_others(state, settings),
    };
    if this_boot { proof } else { Proof::Proven(Method::Replay) }
}

/// Whether `/boot/loader` leads to another set than the one that was booted, so that somebody who writes no note has switched it
/// since. The clocks say nothing about that: they may have been set. Two switches of the C tools lead back to the set that was
/// booted; these tools freeze the file system at each, which is a proof.
pub(crate) fn is_switched_by_others(state: &BootState, settings: &Settings) -> bool {
    let running = settings.running.as_ref().filter(|_| !settings.offline);
    running.is_some_and(|running| running.boot_version != state.boot_version())
}
