// SPDX-License-Identifier: MIT OR Apache-2.0
//! A btrfs with subvolumes in an image. Needs root, loop devices, and `mkfs.btrfs`.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;

use test_world::disk::{device_of, unmount};
use test_world::run;

/// A btrfs with the root in a subvolume (empty: at its top), and `/boot` in it or a subvolume of its own, mounted as a system has them.
pub struct Btrfs {
    dir: tempfile::TempDir,
    has_boot: bool,
    is_mounted: std::cell::Cell<bool>,
}

impl Btrfs {
    pub fn new(root: &str, boot: Option<&str>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let disk = Self { dir, has_boot: boot.is_some(), is_mounted: std::cell::Cell::new(true) };
        let (image, mount) = (disk.image(), disk.mount());
        std::fs::create_dir(&mount).unwrap();
        File::create(&image).unwrap().set_len(128 << 20).unwrap();
        run(Command::new("mkfs.btrfs").arg("-q").arg(&image));
        run(Command::new("mount").args(["-t", "btrfs", "-o", "loop"]).arg(&image).arg(&mount));
        for name in [Some(root), boot].into_iter().flatten().filter(|name| !name.is_empty()) {
            run(Command::new("btrfs").args(["-q", "subvolume", "create"]).arg(mount.join(name)));
        }
        std::fs::create_dir(mount.join(root).join("boot")).unwrap();
        run(Command::new("umount").arg(&mount));
        run(Command::new("mount")
            .args(["-t", "btrfs", "-o", &format!("loop,subvol=/{root}")])
            .arg(&image)
            .arg(&mount));
        if let Some(boot) = boot {
            let option = format!("subvol=/{boot}");
            run(Command::new("mount")
                .args(["-t", "btrfs", "-o", &option, &device_of(&mount)])
                .arg(mount.join("boot")));
        }
        disk
    }

    fn image(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    pub fn mount(&self) -> PathBuf {
        self.dir.path().join("mnt")
    }

    /// A file beside the image; gives its path.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The same, to be run.
    pub fn script(&self, name: &str, commands: &str) -> String {
        let path = self.dir.path().join(name);
        super::executable(&path, &format!("#!/bin/sh\n{commands}\n"));
        path.to_str().unwrap().to_owned()
    }

    /// The image, with all on it.
    pub fn unmounted(&self) -> PathBuf {
        self.unmount();
        self.image()
    }

    fn unmount(&self) {
        if !self.is_mounted.replace(false) {
            return;
        }
        run(Command::new("sync").arg("-f").arg(self.mount()));
        if self.has_boot {
            unmount(&self.mount().join("boot"));
        }
        unmount(&self.mount());
    }
}

impl Drop for Btrfs {
    fn drop(&mut self) {
        self.unmount();
    }
}
