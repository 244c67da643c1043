// SPDX-License-Identifier: MIT OR Apache-2.0
//! EXTLINUX, for a BIOS.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::{BootLoader, WholeDisk};

/// Starts the active partition; of Debian's package syslinux-common.
const MBR: &str = "/usr/lib/syslinux/mbr/mbr.bin";

/// EXTLINUX of Debian's package, in the root's file system.
#[derive(Debug)]
pub(crate) struct Extlinux;

impl BootLoader for Extlinux {
    fn kind(&self) -> &'static str {
        "syslinux"
    }

    /// It knows ext4 as that was at first.
    fn features(&self) -> &'static str {
        "^64bit,^metadata_csum,^metadata_csum_seed,^orphan_file"
    }

    fn prepare(&self) -> String {
        "mkdir -p boot/syslinux\nln -s ../loader/syslinux.cfg boot/syslinux/syslinux.cfg".to_owned()
    }

    fn install(&self, disk: &WholeDisk, _directory: &Path) -> Result<()> {
        let code = fs::read(MBR).with_context(|| format!("Reading {MBR} (is syslinux-common installed?)"))?;
        disk.write_at(0, &code)?;
        disk.run(r#"extlinux --install "$1""#, &[OsStr::new("boot/syslinux")]).map(drop)
    }
}
