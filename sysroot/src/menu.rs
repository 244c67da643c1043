// SPDX-License-Identifier: MIT OR Apache-2.0
//! A new boot menu, and what it takes to get there: every change of the deployments ends here.

use anyhow::Result;
use bootloader::{Change, Outcome, SwitchPlan};
use formats::kernel_args::KernelArgs;
use log::warn;

use crate::cleanup::Cleaned;
use crate::deploy::DeployPlan;
use crate::entries;
use crate::lock::Lock;
use crate::sysroot::{Loaded, Sysroot};

/// One place of a new menu.
#[derive(Debug, Clone)]
pub(crate) enum Item<'a> {
    /// A deployment that is there, by its place in the old menu.
    Old {
        /// Counted from 0, the default.
        index: usize,
        /// Its kernel arguments, where they change.
        kernel_args: Option<KernelArgs>,
    },
    /// The one that is being made.
    New(&'a DeployPlan),
}

impl Item<'_> {
    /// A deployment that stays as it is.
    pub(crate) fn old(index: usize) -> Self {
        Self::Old { index, kernel_args: None }
    }
}

/// What a new menu has changed.
#[derive(Debug)]
pub struct Switched {
    /// What was decided.
    pub plan: SwitchPlan,
    /// What it has come to.
    pub outcome: Outcome,
    /// How many more deployments there are.
    pub count_change: i64,
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
    pub(crate) fn switch_menu(
        &self,
        lock: &Lock,
        loaded: &Loaded,
        items: &[Item<'_>],
        prune: bool,
    ) -> Result<Switched> {
        let (loader, settings) = self.boot_settings(loaded)?;
        let entries = entries::compose(self, loaded, items)?;
        let plan = SwitchPlan::new(&loaded.boot, &entries, loader.as_ref(), &settings)?;
        let outcome = plan.apply(self.places(), &settings)?;
        self.touch()?;
        // The switch is made; that something old is still there is no reason to call it failed.
        let cleaned = self.clean_up(lock, &settings, prune).unwrap_or_else(|error| {
            warn!("{error:#}; `ostree admin cleanup` tries again");
            Cleaned::default()
        });
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let count_change = count(items.len()) - count(loaded.deployments.len());
        Ok(Switched { plan, outcome, count_change, cleaned })
    }
}
