// SPDX-License-Identifier: MIT OR Apache-2.0
//! A sysroot as its boot loader sees it, and the answers to the tools of the loader.

use anyhow::Result;
use bootloader::loader::grub2::{Generator, generate};
use bootloader::loader::{Choice, select};
use bootloader::{BootState, Report};

use crate::sysroot::Sysroot;

impl Sysroot {
    /// Reports what the boot loader would show and boot, and the faults in that.
    ///
    /// # Errors
    ///
    /// `/boot` or the configuration cannot be read.
    pub fn boot_report(&self) -> Result<Report> {
        let settings = self.boot_settings(&self.load_lenient()?)?;
        bootloader::examine(self.places(), &settings)
    }

    /// Generates the entries of a set for `grub-mkconfig`; without a number those of the chosen set.
    ///
    /// # Errors
    ///
    /// The set cannot be read.
    pub fn grub_entries(&self, boot_version: Option<u8>, with: &Generator) -> Result<String> {
        let subvolume = select(Choice::Grub2, self.places().boot)?.subvolume;
        let state = match boot_version {
            Some(version) => BootState::read_as_if(self.places(), version)?,
            None => BootState::read(self.places())?,
        };
        Ok(generate(state.entries.iter().map(|entry| &entry.entry), with, subvolume.as_deref()))
    }
}
