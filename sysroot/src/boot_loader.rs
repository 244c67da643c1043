// SPDX-License-Identifier: MIT OR Apache-2.0
//! A sysroot as its boot loader sees it, and what its tools ask for.

use anyhow::Result;
use bootloader::loader::grub2::{Generator, generate};
use bootloader::loader::{Choice, select};
use bootloader::{BootState, Report, Settings};

use crate::entries::Item;
use crate::lock::Lock;
use crate::menu::Switched;
use crate::sysroot::Sysroot;

impl Sysroot {
    /// What the boot loader would show and boot, and what is wrong with that.
    pub fn boot_report(&self) -> Result<Report> {
        let settings = self.boot_settings(&self.look()?)?;
        bootloader::examine(self.places(), &settings)
    }

    /// Writes entries, and what the boot loader reads beside them, anew, whether something has changed or not.
    pub fn regenerate(&self, lock: &Lock) -> Result<Switched> {
        let loaded = self.load()?;
        let settings = Settings { rewrite: true, ..self.boot_settings(&loaded)? };
        let items: Vec<Item> = (0..loaded.deployments.len()).map(Item::old).collect();
        let menu = self.plan_menu(&loaded, &items, false, settings)?;
        self.switch_menu(lock, &loaded, &menu)
    }

    /// The entries of a set for `grub-mkconfig`; without a number those of the chosen one.
    pub fn grub_entries(&self, boot_version: Option<u8>, with: &Generator) -> Result<String> {
        let subvolume = select(Choice::Grub2, self.places().boot)?.subvolume;
        let state = match boot_version {
            Some(version) => BootState::read_as_if(self.places(), version)?,
            None => BootState::read(self.places())?,
        };
        Ok(generate(state.entries.iter().map(|entry| &entry.entry), with, subvolume.as_deref()))
    }
}
