// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making room in `/boot`: what nothing names goes. And where old and new boot files do not fit together, but would once the deployments that go anyway are gone, these
//! go first, in a switch of their own. Their trees go with the next cleanup.

use anyhow::{Context, Result};
use bootloader::{Settings, SwitchPlan};

use crate::entries::{self, Item};
use crate::load::Loaded;
use crate::sysroot::Sysroot;

/// What the C tools read such wishes from.
const OPTIONS: &str = "OSTREE_SYSROOT_OPTS";

/// A menu with fewer deployments, and the places of the wanted ones in it.
pub(crate) type Fewer<'a> = (Loaded, Vec<Item<'a>>);

impl Sysroot {
    /// Takes the deployments that are not among `items` out of the menu, if `plan`, which is the switch to the items, has room in `/boot` only
    /// without them. `None` where it has room, and where this would not help: then the plan is refused for what is missing.
    ///
    /// Only of a running system, which is among the items, with a `/boot` of its own, and only if this switch can be proven: the next one
    /// follows at once.
    pub(crate) fn make_room<'a>(
        &self,
        loaded: &Loaded,
        items: &[Item<'a>],
        plan: &SwitchPlan,
        settings: &Settings,
    ) -> Result<Option<Fewer<'a>>> {
        if loaded.boot.boot_on_root || plan.shortage(self.places(), &loaded.boot, settings)?.is_none() {
            return Ok(None);
        }
        // An earlier staged deployment may have left boot files that nothing names.
        bootloader::sweep(self.places(), settings)?;
        let swept = self.load()?;
        let items = moved(items, loaded, &swept)?;
        let Some(shortage) = plan.shortage(self.places(), &swept.boot, settings)? else {
            return Ok(Some((swept, items)));
        };
        let unwanted =
            std::env::var(OPTIONS).is_ok_and(|words| words.split(',').any(|w| w == "no-early-prune"));
        let loaded = &swept;
        let Some(kept) = kept(loaded, &items).filter(|_| !unwanted) else { return Ok(None) };
        let entries = entries::compose(self, loaded, &kept)?;
        let fewer = SwitchPlan::new(&loaded.boot, &entries, settings)?;
        let room = shortage.free.saturating_add(fewer.will_free(self.places(), &loaded.boot)?);
        let proven = durable::prove(self.places().boot, settings.freezing)?.is_proven();
        if room < shortage.needed || !proven || fewer.check(self.places(), settings).is_err() {
            return Ok(None);
        }
        log::warn!(
            "/boot has no room for the old and the new boot files together: removing first what is to go"
        );
        fewer.apply(self.places(), settings).context("Making room in /boot")?;
        let now = self.load()?;
        let items = moved(&items, loaded, &now)?;
        Ok(Some((now, items)))
    }
}

/// The deployments that stay, in the order of the old menu; `None` if these are all, or if what runs is not among them.
fn kept<'a>(loaded: &Loaded, items: &[Item<'_>]) -> Option<Vec<Item<'a>>> {
    let place = |item: &Item<'_>| match item {
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
fn moved<'a>(items: &[Item<'a>], before: &Loaded, now: &Loaded) -> Result<Vec<Item<'a>>> {
    let moved = |item: &Item<'a>| {
        let Item::Old { index, kernel_args } = item else { return Ok(item.clone()) };
        let path = before.deployments.get(*index).map(|d| &d.path);
        let index = now.deployments.iter().position(|d| Some(&d.path) == path);
        let index = index.context("A deployment has gone from the list")?;
        Ok(Item::Old { index, kernel_args: kernel_args.clone() })
    };
    items.iter().map(moved).collect()
}
