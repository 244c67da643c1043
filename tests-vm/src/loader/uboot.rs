// SPDX-License-Identifier: MIT OR Apache-2.0
//! U-Boot, which looks for an `extlinux.conf` by itself.

use std::path::Path;

use anyhow::Result;

use super::{BootLoader, Layout, WholeDisk};
use crate::firmware::Firmware;
use crate::typist::Answer;

/// U-Boot of Debian's package for QEMU, in place of a firmware.
#[derive(Debug)]
pub(crate) struct Uboot;

impl BootLoader for Uboot {
    fn kind(&self) -> &'static str {
        "extlinux"
    }

    fn firmware(&self) -> Firmware {
        Firmware::Uboot
    }

    fn layout(&self) -> Layout {
        Layout::with(&[])
    }

    fn prepare(&self) -> String {
        "mkdir -p boot/extlinux\nln -s ../loader/extlinux.conf boot/extlinux/extlinux.conf".to_owned()
    }

    /// It is the firmware.
    fn install(&self, _disk: &WholeDisk, _directory: &Path) -> Result<()> {
        Ok(())
    }

    /// Where it would put the initrd by itself, the kernel unpacks.
    fn answers(&self) -> Vec<Answer> {
        vec![
            Answer { to: "Hit any key to stop autoboot", keys: " " },
            Answer { to: "=> ", keys: "setenv ramdisk_addr_r 0x20000000; run bootcmd\n" },
        ]
    }
}
