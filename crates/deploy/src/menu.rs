// SPDX-License-Identifier: MIT OR Apache-2.0
//! A new boot menu, and what it takes to get there: every change of the deployments ends here.

use anyhow::Result;
use bootloader::{Change, Outcome, Settings, SwitchPlan};
use formats::bootlink::DeploymentPath;
use formats::kernel_args::KernelArgs;
use sysroot::{Deployment, Loaded, Sysroot};

use crate::early_prune::{self, EarlyPrune};
use crate::entries::{self, Item};
use crate::refs::RefPlan;
use crate::removal::Cleaned;
use crate::{pin_commit, preflight};

/// The changes that a new menu has made.
#[derive(Debug)]
pub struct Switched {
    /// The plan that was carried out.
    pub plan: SwitchPlan,
    /// The outcome of the switch.
    pub outcome: Outcome,
    /// How many more deployments there are.
    pub count_change: i64,
    /// The staged deployment that is given up, for it was not to be booted next any more.
    pub unstaged: Option<DeploymentPath>,
    /// The deployments and files removed afterwards.
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

/// The effect of a change on the staged deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Staging {
    /// There is none, or it stays as it is.
    Stays,
    /// It gets other kernel arguments.
    Edited(KernelArgs),
    /// It is not the first any more, and is given up.
    Discarded(DeploymentPath),
    /// It becomes a part of the menu.
    Finished,
}

/// A menu to be switched to.
#[derive(Debug, Clone)]
pub(crate) struct MenuPlan {
    /// Its deployments, without the staged one.
    pub(crate) items: Vec<Item>,
    pub(crate) staging: Staging,
    /// The deployments that go first so that the rest has room in `/boot`.
    pub(crate) room: Option<EarlyPrune>,
    /// The switch, after that.
    pub(crate) switch: SwitchPlan,
    /// The refs of the deployments after it.
    pub(crate) refs: RefPlan,
    pub(crate) prune: bool,
    pub(crate) settings: Settings,
}

/// Plans the switch to the menu of `items`. A staged deployment stays staged if it is the first of them; else it is
/// given up.
pub(crate) fn plan_menu(
    sysroot: &Sysroot,
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
            if items.iter().any(is_target) { Staging::Finished } else { Staging::Discarded(target.clone()) }
        }
        _ => Staging::Stays,
    };
    if let Staging::Discarded(_) = staging {
        settings.awaited.clear();
    }
    for item in items {
        if let Item::Old { index, kernel_args: Some(args) } = item
            && !sysroot.options().no_preflight
        {
            let former = loaded.deployments.get(*index).map(Deployment::kernel_args);
            preflight::check_edit(&former.unwrap_or_default(), args)?;
        }
    }
    let items: Vec<Item> = items.iter().filter(|item| !is_staged(item)).cloned().collect();
    let entries = entries::compose(sysroot, loaded, &items)?;
    let mut switch = SwitchPlan::new(&loaded.boot, &entries, &settings)?;
    let room = early_prune::plan_room(sysroot, loaded, &items, &switch, &settings)?;
    if let Some(fewer) = room.as_ref().and_then(|room| room.fewer.as_ref()) {
        switch = SwitchPlan::new(&fewer.state_after(&loaded.boot), &entries, &settings)?;
    }
    let mut plan = MenuPlan { items, staging, room, switch, refs: RefPlan::default(), prune, settings };
    plan.refs = refs_after(sysroot, loaded, &plan)?;
    Ok(plan)
}

/// The refs once `menu` is switched to; a staged deployment that stays so is the first in the list.
fn refs_after(sysroot: &Sysroot, loaded: &Loaded, menu: &MenuPlan) -> Result<RefPlan> {
    let staged = loaded.staged.as_ref().map(|record| &record.target.path);
    let staged = staged.filter(|_| matches!(menu.staging, Staging::Stays | Staging::Edited(_)));
    let paths = menu.items.iter().filter_map(|item| item.path(loaded));
    let mut present = sysroot.deployment_refs()?;
    if menu.staging != Staging::Finished && menu.items.iter().any(|item| matches!(item, Item::New(_))) {
        // It keeps the objects of the new one until that has a ref of its own.
        present.push(pin_commit::name(loaded));
    }
    Ok(RefPlan::new(present, &menu.switch.to, staged.into_iter().chain(paths)))
}
