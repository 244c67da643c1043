// SPDX-License-Identifier: MIT OR Apache-2.0
//! The deployments that must stay.

use std::collections::BTreeSet;

use anyhow::Result;
use formats::bootlink::DeploymentPath;

use crate::dirs::{open_dir, ostree};
use crate::places::Places;
use crate::settings::Settings;
use crate::slot::Slot;
use crate::state::{BootState, deployment_of, read_bootlinks};

/// The deployments that some entry which a boot loader can see leads to, and the running one: none of them may be
/// removed.
///
/// Links count as long as there is a `loader.N` with entries for them, which is until a switch is proven and
/// swept.
///
/// # Errors
///
/// The state or the links cannot be read.
pub fn linked_deployments(places: Places<'_>, settings: &Settings) -> Result<BTreeSet<DeploymentPath>> {
    linked_in(&BootState::read(places)?, places, settings)
}

/// Finds them as [`linked_deployments`] does, in a state that the caller has read; one from before a sweep will do.
///
/// # Errors
///
/// The links cannot be read.
pub fn linked_in(
    state: &BootState,
    places: Places<'_>,
    settings: &Settings,
) -> Result<BTreeSet<DeploymentPath>> {
    let ostree = ostree(places.root)?;
    let mut deployments: BTreeSet<_> =
        state.entries.iter().filter_map(|entry| entry.deployment.clone()).collect();
    for boot_version in [0, 1] {
        let running = settings.running.as_ref().filter(|link| link.boot_version == boot_version);
        let visible = state.loader_names.contains(&format!("loader.{boot_version}"));
        for sub_boot_version in [0, 1] {
            let slot = Slot { boot_version, sub_boot_version };
            let Some(dir) = open_dir(&ostree, &slot.links_dir())? else { continue };
            for (path, target) in read_bootlinks(&dir)? {
                let is_running = running.is_some_and(|link| link.to_string().ends_with(&format!("/{path}")));
                if visible || is_running {
                    deployments.extend(deployment_of(&target));
                }
            }
        }
    }
    Ok(deployments)
}
