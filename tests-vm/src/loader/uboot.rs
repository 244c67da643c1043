// SPDX-License-Identifier: MIT OR Apache-2.0
//! U-Boot, which looks for an `extlinux.conf` by itself.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{BootLoader, WholeDisk, package};
use crate::environment::Environment;
use crate::firmware::Firmware;
use crate::typist::Answer;

/// U-Boot of Debian trixie for QEMU, in place of a firmware. That of bookworm forgets the initrd: it starts the kernel of
/// an `extlinux.conf` with one of no bytes.
#[derive(Debug)]
pub(crate) struct Uboot {
    rom: PathBuf,
}

impl Uboot {
    /// Of Debian's package u-boot-qemu. Of its builds for a PC the one with 32 bits starts a kernel.
    pub(crate) fn fetch(environment: &Environment) -> Result<Self> {
        let package = package::fetch(environment, "trixie", "u-boot-qemu")?;
        Ok(Self { rom: package.join("usr/lib/u-boot/qemu-x86/u-boot.rom") })
    }
}

impl BootLoader for Uboot {
    fn kind(&self) -> &'static str {
        "extlinux"
    }

    fn firmware(&self) -> Firmware {
        Firmware::Uboot(self.rom.clone())
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
