// SPDX-License-Identifier: MIT OR Apache-2.0
//! The file system that everything is measured on: a fresh ext4 in an image.
//!
//! One with a journal, as systems have. Without one, ext4 looks at each inode that was deleted in the last minutes before it takes
//! a free one (`recently_deleted` in Linux's `fs/ext4/ialloc.c`): a deployment after a removal then takes seconds that say nothing
//! about either program, and containers often lie on such a file system.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use fn_error_context::context;
use rustix::mount::{UnmountFlags, unmount};

use crate::process;

/// Room for some copies of the tree, and for who decides by what is free. The image has holes.
const BYTES: u64 = 16 << 30;

/// Its name on the page.
pub(super) const KIND: &str = "a fresh ext4 in an image";

/// Mounted as long as this lives.
pub(super) struct Disk {
    mount: PathBuf,
    image: PathBuf,
}

impl Disk {
    /// Makes it in `image` and mounts it at `mount`.
    #[context("Making a file system in {}", image.display())]
    pub(super) fn new(image: &Path, mount: &Path) -> Result<Self> {
        // An earlier run may have been killed.
        let disk = Self { mount: mount.to_owned(), image: image.to_owned() };
        disk.remove();
        std::fs::create_dir_all(&disk.mount).with_context(|| format!("Creating {}", disk.mount.display()))?;
        std::fs::File::create(&disk.image)?.set_len(BYTES)?;
        let run = |program: &str, arguments: &[&Path]| {
            process::output(process::command(program).args(arguments)).map(drop)
        };
        run("mkfs.ext4", &[Path::new("-q"), &disk.image])?;
        run("mount", &[Path::new("-o"), Path::new("loop"), &disk.image, &disk.mount])?;
        Ok(disk)
    }

    fn remove(&self) {
        // An unmount fails where nothing is mounted.
        unmount(&self.mount, UnmountFlags::DETACH).ok();
        std::fs::remove_dir(&self.mount).ok();
        std::fs::remove_file(&self.image).ok();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.remove();
    }
}
