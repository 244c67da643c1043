// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sysroot's side of a boot switch: which loader there is, and what must be respected.

use anyhow::Result;
use bootloader::{Settings, loader};

use crate::load::Loaded;
use crate::running::{running_boot, running_bootlink};
use crate::sysroot::Sysroot;

impl Sysroot {
    /// Finds the boot loader to write for, and the rules that a switch must respect.
    ///
    /// # Errors
    ///
    /// The configuration or `/boot` cannot be read, or `/boot` is not that of the running system.
    pub fn boot_settings(&self, loaded: &Loaded) -> Result<Settings> {
        let config = self.boot_config()?;
        let mut installed = loader::select(config.bootloader, self.places().boot)?;
        if loaded.is_running_system {
            installed.compare_esp(self.places().boot, loader::booted_partition())?;
        }
        Ok(Settings {
            boot_prefix: config.boot_prefix,
            freezing: config.freezing,
            offline: !loaded.is_running_system,
            running: if loaded.is_running_system { running_bootlink() } else { None },
            boot_argument: if loaded.is_running_system { running_boot() } else { None },
            awaited: loaded.awaited(),
            installed,
            grub_generator: self.options().grub_generator.clone(),
            grub_prefix: self.options().grub_prefix.clone(),
            stateroot_in_names: self.options().stateroot_in_names,
            test_freeze: self.options().test_freeze,
            incomplete_trees: self.options().no_preflight,
            except_default: config.except_default.clone(),
            tool_path: None,
            show_tools: self.options().show_boot_tools,
            rewrite: false,
        })
    }
}
