// SPDX-License-Identifier: MIT OR Apache-2.0
//! Loaders that read boot entries themselves: systemd-boot, GRUB with `blscfg`, petitboot, and firmware tests.

use super::beside::Beside;
use super::interface::{Installed, Loader};

/// `bootloader=none`: nothing beside the entries.
#[derive(Debug, Clone, Copy)]
pub struct BootEntriesOnly;

impl Loader for BootEntriesOnly {
    fn name(&self) -> &'static str {
        "none"
    }
}

impl Default for Installed {
    fn default() -> Self {
        let because = "no other was found".to_owned();
        let beside = Beside::default();
        Self {
            loader: &BootEntriesOnly,
            because,
            entry_point: None,
            boot_uuid: None,
            beside,
            subvolume: None,
            other_esp: None,
        }
    }
}
