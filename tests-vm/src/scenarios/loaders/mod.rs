// SPDX-License-Identifier: MIT OR Apache-2.0
//! Real boot loaders: each starts what our tools have put on its disk. An upgrade boots the new version, a rollback the
//! old one, by the entry that is started if nobody chooses. With the small system, whose boots cost seconds.

mod boots;
pub(super) mod full;
mod migration;
mod partition;

use anyhow::Result;

use super::Bench;
use super::expect::check;
use crate::loader::{Extlinux, GrubBios, GrubEfi, NewerGrub, Uboot};
use crate::typist::Answer;
use boots::{ASK, NOTHING, boot, check_boot, check_rows, start, upgraded_and_back};

pub(super) use migration::run as migration;
pub(super) use partition::run as mounted_esp;

/// GRUB for a BIOS, with `/boot` on a partition of its own. At last somebody chooses in the menu.
pub(super) fn grub_bios(bench: &Bench) -> Result<()> {
    let loader = GrubBios { own_boot: true };
    let disk = upgraded_and_back(bench, &loader)?;
    // GRUB takes the cursor key for one only if it comes in one piece.
    let down = Answer { to: "(ostree:1)", keys: "\u{1b}[B\r" };
    let started = start(bench, &loader, &disk, &[ASK, NOTHING].concat(), &[down])?;
    check_rows(&started.screen, &["Small system 1 (ostree:0)", "Small system 2 (ostree:1)"])?;
    check_boot(&started.report, &loader, "2")
}

/// The same with `/boot` in the root; at last `grub-reboot` has chosen, for once.
pub(super) fn grub_bios_on_root(bench: &Bench) -> Result<()> {
    let loader = GrubBios { own_boot: false };
    let disk = upgraded_and_back(bench, &loader)?;
    disk.run("cd boot/grub; grub-editenv grubenv create; grub-editenv grubenv set next_entry=ostree-1", &[])?;
    check_boot(&boot(bench, &loader, &disk, NOTHING)?, &loader, "2")?;
    let left = disk.run("grub-editenv boot/grub/grubenv list", &[])?;
    check(!left.contains("ostree-1"), "GRUB has forgotten the choice", &left)
}

pub(super) fn grub_efi(bench: &Bench) -> Result<()> {
    upgraded_and_back(bench, &GrubEfi).map(drop)
}

/// GRUB that reads the boot entries by itself.
pub(super) fn grub_entries(bench: &Bench) -> Result<()> {
    upgraded_and_back(bench, &NewerGrub::fetch(&bench.environment)?).map(drop)
}

pub(super) fn extlinux(bench: &Bench) -> Result<()> {
    upgraded_and_back(bench, &Extlinux).map(drop)
}

pub(super) fn uboot(bench: &Bench) -> Result<()> {
    upgraded_and_back(bench, &Uboot::fetch(&bench.environment)?).map(drop)
}
