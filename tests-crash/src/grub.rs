// SPDX-License-Identifier: MIT OR Apache-2.0
//! `/boot` as GRUB reads it: with its own file system drivers, and without replaying any journal.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::disk::Layout;
use crate::workshop::Mount;

/// A file system of an image, read by GRUB.
#[derive(Debug)]
pub(crate) struct Grub {
    _mount: Mount,
    /// The directory with `loader`.
    pub(crate) boot: PathBuf,
}

impl Grub {
    /// Mounts it at `at`. An error is what GRUB says to a file system that it cannot read.
    pub(crate) fn mount(layout: Layout, image: &Path, at: &Path) -> Result<Self> {
        let mut command = Command::new("grub-mount");
        command.args(["--root", layout.grub_device()]).args([image, at]);
        let done = command.output().context("Running grub-mount (package grub-common)")?;
        if !done.status.success() {
            bail!("grub-mount: {}", String::from_utf8_lossy(&done.stderr).trim());
        }
        let mount = Mount::adopt(at);
        let boot = if layout.boot.is_some() { at.to_owned() } else { at.join("boot") };
        Ok(Self { _mount: mount, boot })
    }
}
