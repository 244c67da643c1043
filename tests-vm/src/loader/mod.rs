// SPDX-License-Identifier: MIT OR Apache-2.0
//! Real boot loaders, on disks whose sysroot and `/boot` our tools alone have written.
//!
//! A loader's programs are put where its firmware looks for them, as its own installer would do; what it reads is left
//! to `ostree admin deploy`.

mod disk;
mod extlinux;
mod grub;
mod layout;
mod newer_grub;
pub(crate) mod package;
mod uboot;

use std::ffi::OsStr;
use std::path::Path;

use anyhow::Result;
use fn_error_context::context;

use crate::disk::{INSTALL, install_arguments};
use crate::environment::Environment;
use crate::firmware::Firmware;
use crate::guest;
use crate::image::Commit;
use crate::typist::Answer;

pub(crate) use disk::{ROOT_LABEL, WholeDisk};
pub(crate) use extlinux::Extlinux;
pub(crate) use grub::{GrubBios, GrubEfi};
pub(crate) use layout::{Layout, Role};
pub(crate) use newer_grub::NewerGrub;
pub(crate) use uboot::Uboot;

/// A boot loader, and the disk that it is on.
pub(crate) trait BootLoader {
    /// Returns its name for `ostree-bootloader`, by the file that it begins to read.
    fn kind(&self) -> &'static str;

    /// Returns the firmware that starts it.
    fn firmware(&self) -> Firmware {
        Firmware::Bios
    }

    /// How its disk is divided.
    fn layout(&self) -> Layout {
        Layout::with(&[])
    }

    /// Returns the features that `mkfs.ext4(8)` has to leave out for it.
    fn features(&self) -> &'static str {
        "^metadata_csum_seed"
    }

    /// A shell script that puts what it wants into `/boot`, before the first deployment; its working directory is the
    /// root.
    fn prepare(&self) -> String;

    /// Puts its programs onto the disk, after the first deployment.
    fn install(&self, disk: &WholeDisk, directory: &Path) -> Result<()>;

    /// Returns the keys that have to be typed for it to boot at all.
    fn answers(&self) -> Vec<Answer> {
        Vec::new()
    }
}

/// A disk with this loader and a deployment of the commit. Its arguments make the guest run a scenario.
#[context("Making a disk for {} in {}", loader.kind(), directory.display())]
pub(crate) fn install(
    loader: &dyn BootLoader,
    environment: &Environment,
    commit: &Commit,
    directory: &Path,
) -> Result<WholeDisk> {
    let disk = WholeDisk::make(directory.join("disk.raw"), loader.layout(), loader.features())?;
    disk.run(&loader.prepare(), &[])?;
    let kernel = format!("root=LABEL={ROOT_LABEL} rw {} {}", guest::ARGUMENTS, guest::SCENARIO_ARGUMENTS);
    let arguments = install_arguments(environment, commit, !disk.has_boot(), &kernel);
    let arguments: Vec<&OsStr> = arguments.iter().map(AsRef::as_ref).collect();
    disk.run(INSTALL, &arguments)?;
    loader.install(&disk, directory)?;
    Ok(disk)
}
