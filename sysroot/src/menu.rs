// SPDX-License-Identifier: MIT OR Apache-2.0
//! A new boot menu, and what it takes to get there: every change of the deployments ends here.

use anyhow::Result;
use bootloader::{Change, Outcome, Settings, SwitchPlan};
use formats::bootlink::DeploymentPath;
use formats::kernel_args::KernelArgs;
use formats::staged::Staged;
use log::warn;

use crate::cleanup::Cleaned;
use crate::entries::{self, Item};
use crate::journal;
use crate::labels;
use crate::load::Loaded;
use crate::lock::Lock;
use crate::overlay_initrds;
use crate::preflight;
use crate::room::{self, Room};
use crate::sysroot::Sysroot;

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

/// What becomes of the staged deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Staging {
    /// There is none, or it stays as it is.
    Stays,
    /// It gets other kernel arguments.
    Edited(KernelArgs),
    /// It is not the first any more, and is given up.
    GivenUp(DeploymentPath),
    /// It becomes a part of the menu.
    Finished,
}

/// A menu to be switched to.
#[derive(Debug, Clone)]
pub(crate) struct MenuPlan {
    /// Its deployments, without the staged one.
    pub(crate) items: Vec<Item>,
    pub(crate) staging: Staging,
    /// What goes first so that the rest has room.
    pub(crate) room: Option<Room>,
    /// The switch, after that.
    pub(crate) switch: SwitchPlan,
    pub(crate) prune: bool,
    pub(crate) settings: Settings,
}

impl Sysroot {
    /// Plans the switch to the menu of `items`. A staged deployment stays staged if it is the first of them; else it is
    /// given up.
    pub(crate) fn plan_menu(
        &self,
        loaded: &Loaded,
        items: &[Item],
        prune: bool,
        mut settings: Settings,
    ) -> Result<MenuPlan> {
        let is_staged = |item: &Item| match item {
            Item::Old { index, .. } => loaded.deployments.get(*index).is_some_and(|d| d.staged),
            Item::New(_) => false,
        };
        let staging = match (&loaded.staged, items.first().filter(|item| is_staged(item))) {
            (Some(_), Some(Item::Old { kernel_args: Some(args), .. })) => Staging::Edited(args.clone()),
            (Some(record), None) => {
                let target = &record.target.path;
                let is_target = |item: &Item| matches!(item, Item::New(new) if new.path == *target);
                if items.iter().any(is_target) { Staging::Finished } else { Staging::GivenUp(target.clone()) }
            }
            _ => Staging::Stays,
        };
        if let Staging::GivenUp(_) = staging {
            settings.awaited.clear();
        }
        for item in items {
            if let Item::Old { kernel_args: Some(args), .. } = item {
                preflight::check_arguments(args)?;
            }
        }
        let items: Vec<Item> = items.iter().filter(|item| !is_staged(item)).cloned().collect();
        let entries = entries::compose(self, loaded, &items)?;
        let mut switch = SwitchPlan::new(&loaded.boot, &entries, &settings)?;
        let room = self.plan_room(loaded, &items, &switch, &settings)?;
        if let Some(fewer) = room.as_ref().and_then(|room| room.fewer.as_ref()) {
            switch = SwitchPlan::new(&fewer.foresee(&loaded.boot), &entries, &settings)?;
        }
        Ok(MenuPlan { items, staging, room, switch, prune, settings })
    }

    /// Switches, and removes what no entry names any more.
    pub(crate) fn switch_menu(&self, lock: &Lock, loaded: &Loaded, menu: &MenuPlan) -> Result<Switched> {
        let MenuPlan { items, settings, .. } = menu;
        if room::copies_nothing(items, &menu.switch) {
            self.release_reserve();
        }
        let count_change = count(items.len()) - count(loaded.menu_len());
        // Again: what is new is there now, and no longer only planned.
        let mut plan = match &menu.room {
            None => SwitchPlan::new(&loaded.boot, &entries::compose(self, loaded, items)?, settings)?,
            Some(room) => {
                let (now, moved) = self.make_room(loaded, items, room, settings)?;
                SwitchPlan::new(&now.boot, &entries::compose(self, &now, &moved)?, settings)?
            }
        };
        labels::label_copies(self, &mut plan);
        let outcome = plan.apply(self.places(), settings)?;
        let mut unstaged = None;
        match (&loaded.staged, &menu.staging) {
            (Some(record), Staging::Edited(args)) => {
                let kernel_args = Some(args.iter().map(str::to_owned).collect());
                self.write_staged(&Staged { kernel_args, ..record.clone() }, self.look()?.menu())?;
            }
            (Some(_), Staging::Stays) => self.touch_staged(Some(self.look()?.menu()))?,
            (Some(record), Staging::GivenUp(path)) => {
                self.remove_staged()?;
                overlay_initrds::forget(&record.overlay_initrds);
                unstaged = Some(path.clone());
                self.touch()?;
            }
            // Also an update that a boot has not taken up yet: this is what is wanted now.
            _ => {
                self.forget_kept()?;
                self.touch()?;
            }
        }
        for item in items {
            if let Item::New(new) = item {
                overlay_initrds::forget(&new.overlay_initrds);
            }
        }
        // The switch is made; that something old is still there is no reason to call it failed.
        let cleaned = self.clean_up(lock, settings, menu.prune).unwrap_or_else(|error| {
            warn!("{error:#}; `ostree admin cleanup` tries again");
            Cleaned::default()
        });
        let switched = Switched { plan, outcome, count_change, unstaged, cleaned };
        journal::complete(&switched, items.len(), settings.installed.loader.name());
        Ok(switched)
    }
}

fn count(deployments: usize) -> i64 {
    i64::try_from(deployments).unwrap_or(i64::MAX)
}
