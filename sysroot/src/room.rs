// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making room in `/boot`: what nothing names goes. And where old and new boot files do not fit together, but would once the deployments that go anyway are gone, these
//! go first, in a switch of their own. Their trees go with the next cleanup.

use anyhow::{Context, Result};
use bootloader::{ApplyError, Settings, SwitchPlan};

use crate::entries::{self, Item};
use crate::load::Loaded;
use crate::sysroot::Sysroot;

/// What the C tools read such wishes from.
const OPTIONS: &str = "OSTREE_SYSROOT_OPTS";

/// What goes first, so that a switch has room in `/boot`.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    /// Boot files that nothing names, and what else a switch has left behind.
    pub(crate) sweep: Vec<String>,
    /// The switch to a menu without the deployments that go anyway, where the sweep is not enough.
    pub(crate) fewer: Option<SwitchPlan>,
}

impl Sysroot {
    /// What has to go before `plan`, the switch to `items`, has room in `/boot`. `None` where it has room.
    ///
    /// Deployments go only of a running system, which is among the items, with a `/boot` of its own.
    ///
    /// Errors: [`ApplyError::NoSpace`], where nothing of this would help.
    pub(crate) fn plan_room(
        &self,
        loaded: &Loaded,
        items: &[Item],
        plan: &SwitchPlan,
        settings: &Settings,
    ) -> Result<Option<Room>> {
        let Some(shortage) = plan.shortage(self.places(), &loaded.boot, settings)? else { return Ok(None) };
        let (bytes, files) = self.reserved_in_boot();
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
            let free = shortage.free.saturating_add(self.boot_bytes(loaded, paths)?);
            // What goes are whole directories: a file for each that is needed.
            Ok(free >= shortage.needed && (shortage.free_files >= shortage.needed_files || !paths.is_empty()))
        };
        // An earlier staged deployment may have left boot files that nothing names.
        let sweep = bootloader::leftovers(&loaded.boot, settings);
        if enough(&sweep)? {
            return Ok(Some(Room { sweep, fewer: None }));
        }
        let unwanted =
            std::env::var(OPTIONS).is_ok_and(|words| words.split(',').any(|w| w == "no-early-prune"));
        let Some(kept) = kept(loaded, items).filter(|_| !unwanted) else { return Err(refused.into()) };
        let fewer = SwitchPlan::new(&loaded.boot, &entries::compose(self, loaded, &kept)?, settings)?;
        if !enough(&fewer.sweep)? {
            return Err(refused.into());
        }
        Ok(Some(Room { sweep, fewer: Some(fewer) }))
    }

    /// Makes it, and gives what is there afterwards and the items by their new places. Nothing goes from the menu if that
    /// could not be proven, since the next switch follows at once: then the next one is refused for what is missing.
    pub(crate) fn make_room(
        &self,
        loaded: &Loaded,
        items: &[Item],
        room: &Room,
        settings: &Settings,
    ) -> Result<(Loaded, Vec<Item>)> {
        bootloader::sweep(self.places(), settings)?;
        if let Some(fewer) = &room.fewer {
            let proven = durable::prove(self.places().boot, settings.freezing)?.is_proven();
            if proven && fewer.check(self.places(), settings).is_ok() {
                log::warn!(
                    "/boot has no room for the old and the new boot files together: removing first what is to go"
                );
                fewer.apply(self.places(), settings).context("Making room in /boot")?;
            }
        }
        let now = self.load()?;
        let items = moved(items, loaded, &now)?;
        Ok((now, items))
    }

    fn boot_bytes(&self, loaded: &Loaded, paths: &[String]) -> Result<u64> {
        bootloader::boot_bytes(self.places(), &loaded.boot, paths)
    }
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

/// The same deployments by their new places.
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
