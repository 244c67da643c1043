// SPDX-License-Identifier: MIT OR Apache-2.0
//! Loaders that read boot entries themselves: systemd-boot, GRUB with `blscfg`, petitboot, and firmware tests.

use super::Loader;

/// `bootloader=none`: nothing beside the entries.
#[derive(Debug, Clone, Copy)]
pub struct BootEntriesOnly;

impl Loader for BootEntriesOnly {
    fn name(&self) -> &'static str {
        "none"
    }
}
