// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making room in `/boot`: what nothing names goes. And where old and new boot files do not fit together, but would once the deployments that go anyway are gone, these
//! go first, in a switch of their own. Their trees go with the next cleanup.

use anyhow::{Context, Result};
use bootloader::{ApplyError, BootState, Settings, Shortage, SweepPlan, SwitchPlan};
use sysroot::{Loaded, Sysroot, reserve};

use crate::entries::{self, Item};

/// The removals that come first, so that a switch has room in `/boot`.
#[derive(Debug, Clone)]
pub(crate) struct EarlyPrune {
    /// Boot files that nothing names, and what else a switch has left behind.
    pub(crate) sweep: SweepPlan,
    /// The switch to a menu without the deployments that go anyway, where the sweep is not enough.
    pub(crate) fewer: Option<SwitchPlan>,
    /// The room that is missing without that.
    pub(crate) shortage: Shortage,
    /// The deployments of the menu that is switched to after it.
    items: Vec<Item>,
}

/// Plans the removals before `plan`, the switch to `items`, has room in `/boot`. `None` where it has room.
///
/// Deployments go only of a running system, which is among the items, with a `/boot` of its own.
///
/// Errors: [`ApplyError::NoSpace`], where nothing of this would help.
pub(crate) fn plan_room(
    sysroot: &Sysroot,
    loaded: &Loaded,
    items: &[Item],
    plan: &SwitchPlan,
    settings: &Settings,
) -> Result<Option<EarlyPrune>> {
    let Some(shortage) = plan.shortage(sysroot.places(), &loaded.boot, settings)? else { return Ok(None) };
    let (bytes, files) = reserve::reserved_in_boot(sysroot.places().boot);
    if copies_nothing(items, plan)
        && shortage.needed <= shortage.free.saturating_add(bytes)
        && shortage.needed_files <= shortage.free_files.saturating_add(files)
    {
        // It is let go of first.
        return Ok(None);
    }
    let refused = ApplyError::NoSpace(shortage.clone());
    if loaded.boot.boot_on_root {
        return Err(refused.into());
    }
    let enough = |paths: &[String]| -> Result<bool> {
        let free = shortage.free.saturating_add(boot_bytes(sysroot, loaded, paths)?);
        // Whole directories go: a file for each that is needed.
        Ok(free >= shortage.needed && (shortage.free_files >= shortage.needed_files || !paths.is_empty()))
    };
    // An earlier staged deployment may have left boot files that nothing names.
    let sweep = SweepPlan::new(&loaded.boot, settings)?;
    if enough(&sweep.sweep)? {
        return Ok(Some(EarlyPrune { sweep, fewer: None, shortage, items: items.to_vec() }));
    }
    let unwanted = sysroot.options().no_early_prune;
    let Some(kept) = kept(loaded, items).filter(|_| !unwanted) else { return Err(refused.into()) };
    let fewer = SwitchPlan::new(&loaded.boot, &entries::compose(sysroot, loaded, &kept)?, settings)?;
    if !enough(&fewer.sweep)? {
        return Err(refused.into());
    }
    Ok(Some(EarlyPrune { sweep, fewer: Some(fewer), shortage, items: items.to_vec() }))
}

/// Makes it. Nothing goes from the menu if that could not be proven, since the next switch follows at once: then that is refused for
/// want of room.
pub(crate) fn make_room(sysroot: &Sysroot, early_prune: &EarlyPrune, settings: &Settings) -> Result<()> {
    // Unproven, it removes nothing, and the room is still missing: the next switch says so.
    let (_, _) = early_prune.sweep.apply(sysroot.places(), settings)?;
    let Some(fewer) = &early_prune.fewer else { return Ok(()) };
    let proven = durable::prove(sysroot.places().boot, settings.freezing)?.is_proven();
    let is_up_to_date = bootloader::unfinished(sysroot.places())?.is_none();
    if !proven || !is_up_to_date || fewer.check(sysroot.places(), settings).is_err() {
        return Err(ApplyError::NoSpace(early_prune.shortage.clone()).into());
    }
    log::warn!("/boot has no room for the old and the new boot files together: removing first what is to go");
    fewer.apply(sysroot.places(), settings).context("Making room in /boot").map(drop)
}

/// Plans the switch again once there is room: boot files and entries that it was planned to find may have gone.
pub(crate) fn plan_switch(
    sysroot: &Sysroot,
    before: &Loaded,
    early_prune: &EarlyPrune,
    settings: &Settings,
) -> Result<SwitchPlan> {
    let now = sysroot.load()?;
    let items = moved(&early_prune.items, before, &now)?;
    Ok(SwitchPlan::new(&now.boot, &entries::compose(sysroot, &now, &items)?, settings)?)
}

/// Gives the same deployments by their new places.
fn moved(items: &[Item], before: &Loaded, now: &Loaded) -> Result<Vec<Item>> {
    let moved = |item: &Item| {
        let Item::Old { index, kernel_args } = item else { return Ok(item.clone()) };
        let path = before.deployments.get(*index).map(|d| &d.path);
        let index = now.deployments.iter().position(|d| Some(&d.path) == path);
        let index = index.context("A deployment has gone from the list")?;
        Ok(Item::Old { index, kernel_args: kernel_args.clone() })
    };
    items.iter().map(moved).collect()
}

/// The state once the menu has fewer deployments.
pub(crate) fn state_after(fewer: &SwitchPlan, state: &BootState) -> BootState {
    fewer.state_after(state)
}

fn boot_bytes(sysroot: &Sysroot, loaded: &Loaded, paths: &[String]) -> Result<u64> {
    bootloader::boot_bytes(sysroot.places(), &loaded.boot, paths)
}

/// Whether only entries are new: of deployments that are there, or of one whose boot files were brought to `/boot` when it was
/// staged. Such a switch may use what is reserved.
pub(crate) fn copies_nothing(items: &[Item], plan: &SwitchPlan) -> bool {
    plan.copy.is_empty() || items.iter().all(|item| matches!(item, Item::Old { .. }))
}

/// The deployments that stay, in the order of the old menu; `None` if these are all, or if what runs is not among them.
fn kept(loaded: &Loaded, items: &[Item]) -> Option<Vec<Item>> {
    let place = |item: &Item| match item {
        Item::Old { index, .. } => Some(*index),
        Item::New(_) => None,
    };
    let is_staged = |index: &usize| loaded.deployments.get(*index).is_some_and(|d| d.staged);
    let mut kept: Vec<usize> = items.iter().filter_map(place).filter(|index| !is_staged(index)).collect();
    kept.sort_unstable();
    let runs = |index: &usize| loaded.deployments.get(*index).is_some_and(|d| d.booted);
    let fewer = kept.len() < loaded.menu_len();
    (loaded.is_running_system && fewer && kept.iter().any(runs))
        .then(|| kept.into_iter().map(Item::old).collect())
}
