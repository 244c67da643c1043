// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writing the boot entries anew, and what the boot loader reads beside them.

use anyhow::Result;
use bootloader::Settings;
use sysroot::Lock;

use crate::entries::Item;
use crate::menu::{self, Switched};
use crate::plan;

/// Writes entries, and what the boot loader reads beside them, anew, whether something has changed or not.
pub fn regenerate(lock: &Lock<'_>) -> Result<Switched> {
    let sysroot = lock.sysroot();
    let loaded = sysroot.load()?;
    let settings = Settings { rewrite: true, ..sysroot.boot_settings(&loaded)? };
    let items: Vec<Item> = (0..loaded.deployments.len()).map(Item::old).collect();
    let menu = menu::plan_menu(sysroot, &loaded, &items, false, settings)?;
    plan::switch(lock, &loaded, &menu)
}
