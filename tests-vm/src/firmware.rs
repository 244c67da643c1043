// SPDX-License-Identifier: MIT OR Apache-2.0
//! Firmware: what starts the boot loader on the first disk of a machine.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::qemu::option;

/// One of those that QEMU can start with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Firmware {
    /// A PC's BIOS, which starts the first sector of the disk.
    Bios,
    /// EFI, which starts `EFI/BOOT/BOOTX64.EFI` of the EFI system partition.
    Efi,
    /// U-Boot in place of a BIOS: the file to start with.
    Uboot(PathBuf),
}

/// EFI's code and its variables, of Debian's package ovmf.
const OVMF: [&str; 2] = ["/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"];

impl Firmware {
    /// The machine of QEMU.
    pub(crate) fn machine(&self) -> &'static str {
        match self {
            Self::Bios | Self::Efi => "q35,sata=off,smbus=off,usb=off",
            // It knows no other.
            Self::Uboot(_) => "pc",
        }
    }

    /// The options of QEMU. EFI writes its variables into a file in `directory`.
    pub(crate) fn options(&self, qemu: &mut Command, directory: &Path) -> Result<()> {
        match self {
            Self::Bios => {}
            Self::Efi => {
                let [code, variables] = OVMF.map(Path::new);
                let own = directory.join("variables.fd");
                fs::copy(variables, &own).with_context(|| format!("Copying {}", variables.display()))?;
                let drive = "if=pflash,format=raw,readonly=";
                qemu.arg("-drive").arg(option(&format!("{drive}on,file="), code));
                qemu.arg("-drive").arg(option(&format!("{drive}off,file="), &own));
            }
            Self::Uboot(rom) => {
                qemu.arg("-bios").arg(rom);
            }
        }
        Ok(())
    }
}

impl fmt::Display for Firmware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bios => "BIOS",
            Self::Efi => "EFI",
            Self::Uboot(_) => "U-Boot",
        })
    }
}
