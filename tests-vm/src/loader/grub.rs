// SPDX-License-Identifier: MIT OR Apache-2.0
//! GRUB of the host's release, without `grub-install`: that looks for devices which an image does not have.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{BootLoader, Layout, Role, WholeDisk};
use crate::command;
use crate::firmware::Firmware;

/// Of Debian's packages grub-pc-bin and grub-efi-amd64-bin.
const MODULES: &str = "/usr/lib/grub";

/// The modules of the image on the disk. It loads no others.
const BUILT_IN: [&str; 21] = [
    "all_video",
    "btrfs",
    "configfile",
    "echo",
    "ext2",
    "fat",
    "gzio",
    "linux",
    "loadenv",
    "normal",
    "part_gpt",
    "part_msdos",
    "reboot",
    "search",
    "search_fs_file",
    "search_fs_uuid",
    "search_label",
    "serial",
    "terminal",
    "test",
    "xfs",
];

/// Settings of the machine's owner: a console by which it can be talked to, and no long wait.
pub(super) const CUSTOM: &str = "serial --unit=0 --speed=115200\nterminal_input serial console\n\
    terminal_output serial console\nset timeout=2\n";

/// An image of GRUB for this platform.
#[derive(Debug)]
pub(super) struct Image<'a> {
    /// The directory of the platform's modules.
    pub(super) modules: PathBuf,
    /// As `grub-mkimage(1)` names it.
    pub(super) platform: &'a str,
    /// GRUB's directory.
    pub(super) prefix: &'a str,
    /// Modules besides the usual ones.
    pub(super) more: &'a [&'a str],
}

impl Image<'_> {
    /// Its bytes, made in a scratch directory.
    pub(super) fn make(&self, directory: &Path) -> Result<Vec<u8>> {
        let file = directory.join("grub.img");
        let mut make = Command::new("grub-mkimage");
        make.arg("-d").arg(&self.modules).args(["-O", self.platform, "-p", self.prefix, "-o"]).arg(&file);
        command::run(make.args(BUILT_IN).args(self.more))?;
        read(&file)
    }
}

/// Puts GRUB for a BIOS onto a disk with an MBR: its first sector starts what is behind it, as both come.
pub(super) fn install_bios(disk: &WholeDisk, modules: &Path, more: &[&str], directory: &Path) -> Result<()> {
    /// Behind it are the disk's signature and the partitions.
    const BOOT_CODE: usize = 440;
    const SECTOR: u64 = 512;
    let directory_of_grub = if disk.has_boot() { "/grub" } else { "/boot/grub" };
    let image = Image {
        modules: modules.to_owned(),
        platform: "i386-pc",
        prefix: &format!("(,msdos1){directory_of_grub}"),
        more: &[&["biosdisk"], more].concat(),
    };
    let first = read(&modules.join("boot.img"))?;
    disk.write_at(0, first.get(..BOOT_CODE).context("boot.img is too short")?)?;
    disk.write_at(SECTOR, &image.make(directory)?)
}

/// A shell script that makes `/boot/grub` with a file of settings.
pub(super) fn directory(grub_cfg: &str) -> String {
    format!("mkdir -p boot/grub\ncat >boot/grub/custom.cfg <<'END'\n{CUSTOM}END\n{grub_cfg}\n")
}

/// Makes its first file the menu.
pub(super) const LINK: &str = "ln -s ../loader/grub.cfg boot/grub/grub.cfg";

/// GRUB for a BIOS, which reads the menu that is made of the entries.
#[derive(Debug)]
pub(crate) struct GrubBios {
    /// Whether `/boot` is a partition of its own.
    pub(crate) own_boot: bool,
}

impl BootLoader for GrubBios {
    fn kind(&self) -> &'static str {
        "grub2"
    }

    fn layout(&self) -> Layout {
        Layout::with(if self.own_boot { &[(Role::Boot, 256)] } else { &[] })
    }

    fn prepare(&self) -> String {
        directory(LINK)
    }

    fn install(&self, disk: &WholeDisk, directory: &Path) -> Result<()> {
        install_bios(disk, &Path::new(MODULES).join("i386-pc"), &[], directory)
    }
}

/// GRUB for EFI, whose first file is on the EFI system partition.
#[derive(Debug)]
pub(crate) struct GrubEfi;

/// Its directory there.
const VENDOR: &str = "EFI/debian";

impl BootLoader for GrubEfi {
    fn kind(&self) -> &'static str {
        "grub2"
    }

    fn firmware(&self) -> Firmware {
        Firmware::Efi
    }

    fn layout(&self) -> Layout {
        Layout::with(&[(Role::Esp, 64)])
    }

    /// The host has no FAT: a directory stands for the partition.
    fn prepare(&self) -> String {
        format!("mkdir -p boot/efi/{VENDOR}\n: >boot/efi/{VENDOR}/grub.cfg\n")
    }

    fn install(&self, disk: &WholeDisk, directory: &Path) -> Result<()> {
        let image = Image {
            modules: Path::new(MODULES).join("x86_64-efi"),
            platform: "x86_64-efi",
            prefix: &format!("/{VENDOR}"),
            more: &[],
        };
        disk.put_on_esp("EFI/BOOT/BOOTX64.EFI", &image.make(directory)?)?;
        disk.put_on_esp(&format!("{VENDOR}/custom.cfg"), CUSTOM.as_bytes())?;
        let take = format!("cat boot/efi/{VENDOR}/grub.cfg; find boot/efi -mindepth 1 -delete");
        let first_file = disk.run(&take, &[])?;
        disk.put_on_esp(&format!("{VENDOR}/grub.cfg"), first_file.as_bytes())
    }
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("Reading {} (is it installed?)", file.display()))
}
