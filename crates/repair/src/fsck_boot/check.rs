// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checking the boot chain, and carrying a planned repair out.

use anyhow::{Result, ensure};
use fn_error_context::context;
use sysroot::{Lock, Sysroot};

use super::evidence::Evidence;
use super::finding::BootCheck;
use super::menu::Menu;
use super::plan::RepairPlan;
use super::{apply, files, links, room};

/// Follows every entry as a boot loader and the initramfs do, reads every boot file that is named, and plans what mends
/// what is broken. Writes nothing and takes no lock.
///
/// # Errors
///
/// The root or `/boot` cannot be read.
#[context("Checking the way from the boot loader to the deployments")]
pub fn check_boot(sysroot: &Sysroot) -> Result<BootCheck> {
    let evidence = Evidence::gather(sysroot)?;
    let (menu, mut problems) = Menu::restore(sysroot, &evidence)?;
    if let Some(menu) = &menu {
        problems.extend(links::check(sysroot, menu, &evidence));
        problems.extend(files::check(sysroot, menu, &evidence)?);
    }
    let mut check = BootCheck::new(problems);
    room::make(sysroot, menu.as_ref(), &mut check)?;
    Ok(check)
}

/// Plans the steps of a repair. Writes nothing and takes no lock.
///
/// # Errors
///
/// [`NoRoom`](super::NoRoom), the root or `/boot` cannot be read, or only a reboot tells which files a boot loader still reads.
#[context("Planning the repair of the way from the boot loader to the deployments")]
pub fn plan_repair(sysroot: &Sysroot) -> Result<RepairPlan> {
    plan(sysroot, check_boot(sysroot)?)
}

fn plan(sysroot: &Sysroot, found: BootCheck) -> Result<RepairPlan> {
    if let Some(no_room) = &found.no_room {
        return Err(no_room.clone().into());
    }
    RepairPlan::new(sysroot, found)
}

/// Carries out the repair that [`check_boot`] has planned, if it would plan the same now, and checks again. Its steps are those
/// of [`plan_repair`].
///
/// Where the disk has no room for the lock's file it may be called without the lock.
///
/// # Errors
///
/// [`NoRoom`](super::NoRoom), something has changed since, or a step fails.
#[context("Repairing the way from the boot loader to the deployments")]
pub fn repair_boot(sysroot: &Sysroot, lock: Option<&Lock<'_>>, planned: &BootCheck) -> Result<BootCheck> {
    let is_of_sysroot = lock.is_none_or(|lock| std::ptr::eq(lock.sysroot(), sysroot));
    ensure!(is_of_sysroot, "The lock is that of another sysroot");
    let now = check_boot(sysroot)?;
    ensure!(now == *planned, "Something has changed since this was planned; try again");
    let unproven = apply::run(sysroot, &plan(sysroot, now)?.tasks)?;
    Ok(BootCheck { unproven, ..check_boot(sysroot)? })
}
