// SPDX-License-Identifier: MIT OR Apache-2.0
//! A new boot menu, and what it takes to get there: every change of the deployments ends here.

use anyhow::Result;
use bootloader::{Change, Outcome, Settings, SwitchPlan};
use formats::bootlink::DeploymentPath;
use formats::staged::Staged;
use log::warn;

use crate::cleanup::Cleaned;
use crate::entries::Item;
use crate::load::Loaded;
use crate::lock::Lock;
use crate::sysroot::Sysroot;
use crate::{entries, staged};

/// What a new menu has changed.
#[derive(Debug)]
pub struct Switched {
    /// What was decided.
    pub plan: SwitchPlan,
    /// What it has come to.
    pub outcome: Outcome,
    /// How many more deployments there are.
    pub count_change: i64,
    /// The staged deployment that is given up, for it was not to be booted next any more.
    pub unstaged: Option<DeploymentPath>,
    /// What was removed afterwards.
    pub cleaned: Cleaned,
}

impl Switched {
    /// One line, in the C tools' words.
    pub fn summary(&self) -> String {
        let (done, swap) = match self.plan.change {
            Change::Entries => ("Bootloader updated", "yes"),
            Change::Bootlinks | Change::Nothing => ("Transaction complete", "no"),
        };
        let slot = &self.plan.to;
        format!(
            "{done}; bootconfig swap: {swap}; bootversion: boot.{}.{}, deployment count change: {}",
            slot.boot_version, slot.sub_boot_version, self.count_change
        )
    }
}

impl Sysroot {
    /// Switches to the menu of `items` and removes what no entry names any more.
    ///
    /// A staged deployment stays staged if it is the first of them; else it is given up.
    pub(crate) fn switch_menu(
        &self,
        lock: &Lock,
        loaded: &Loaded,
        items: &[Item<'_>],
        prune: bool,
    ) -> Result<Switched> {
        self.switch_menu_with(lock, loaded, items, prune, &self.boot_settings(loaded)?)
    }

    /// The same with settings that are not those of the configuration alone.
    pub(crate) fn switch_menu_with(
        &self,
        lock: &Lock,
        loaded: &Loaded,
        items: &[Item<'_>],
        prune: bool,
        settings: &Settings,
    ) -> Result<Switched> {
        let is_staged = |item: &Item<'_>| match item {
            Item::Old { index, .. } => loaded.deployments.get(*index).is_some_and(|d| d.staged),
            Item::New(_) => false,
        };
        let kept = items.first().filter(|item| is_staged(item));
        let mut items: Vec<Item<'_>> = items.iter().filter(|item| !is_staged(item)).cloned().collect();
        let count_change = count(items.len()) - count(loaded.menu_len());
        let entries = entries::compose(self, loaded, &items)?;
        let mut plan = SwitchPlan::new(&loaded.boot, &entries, settings)?;
        if let Some((now, moved)) = self.make_room(loaded, &items, &plan, settings)? {
            items = moved;
            plan = SwitchPlan::new(&now.boot, &entries::compose(self, &now, &items)?, settings)?;
        }
        let outcome = plan.apply(self.places(), settings)?;
        let unstaged = match (&loaded.staged, kept) {
            (Some(record), Some(Item::Old { kernel_args: Some(args), .. })) => {
                let kernel_args = Some(args.iter().map(str::to_owned).collect());
                staged::write(&Staged { kernel_args, ..record.clone() })?;
                None
            }
            (Some(record), None) => {
                staged::remove()?;
                Some(record.target.path.clone())
            }
            _ => None,
        };
        self.touch()?;
        // The switch is made; that something old is still there is no reason to call it failed.
        let cleaned = self.clean_up(lock, settings, prune).unwrap_or_else(|error| {
            warn!("{error:#}; `ostree admin cleanup` tries again");
            Cleaned::default()
        });
        Ok(Switched { plan, outcome, count_change, unstaged, cleaned })
    }
}

fn count(deployments: usize) -> i64 {
    i64::try_from(deployments).unwrap_or(i64::MAX)
}
