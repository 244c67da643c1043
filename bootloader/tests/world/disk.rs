// SPDX-License-Identifier: MIT OR Apache-2.0
//! A `/boot` in an image. Needs root, loop devices, and the mkfs of the file system.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Disk {
    dir: tempfile::TempDir,
    kind: &'static str,
}

impl Disk {
    pub fn new(kind: &'static str, megabytes: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let disk = Self { dir, kind };
        std::fs::create_dir(disk.mount()).unwrap();
        let image = disk.image();
        File::create(&image).unwrap().set_len(megabytes << 20).unwrap();
        run(Command::new(format!("mkfs.{kind}")).arg("-q").arg(&image));
        run(Command::new("mount").args(["-t", kind, "-o", "loop"]).arg(&image).arg(disk.mount()));
        disk
    }

    pub fn image(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    pub fn mount(&self) -> PathBuf {
        self.dir.path().join("mnt")
    }

    /// Mounts a copy of the device as it is now, with or without replay, for `look`.
    pub fn look<T>(&self, replay: bool, look: impl FnOnce(&Path) -> T) -> T {
        let options = match (self.kind, replay) {
            ("ext4", true) => "loop",
            ("ext4", false) => "loop,ro,noload",
            (_, true) => "loop,nouuid",
            (_, false) => "loop,ro,norecovery,nouuid",
        };
        let temp = tempfile::tempdir().unwrap();
        let (copy, mount) = (temp.path().join("copy"), temp.path().join("mnt"));
        std::fs::create_dir(&mount).unwrap();
        run(Command::new("cp").arg("--sparse=always").arg(self.image()).arg(&copy));
        run(Command::new("mount").args(["-t", self.kind, "-o", options]).arg(&copy).arg(&mount));
        let mounted = Mounted(&mount);
        look(mounted.0)
    }
}

impl Disk {
    /// The loop device that it is mounted from.
    pub fn device(&self) -> String {
        source(&self.mount())
    }
}

fn source(mount: &Path) -> String {
    let output = Command::new("findmnt").args(["-nrvo", "SOURCE"]).arg(mount).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

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
                .args(["-t", "btrfs", "-o", &option, &source(&mount)])
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

/// A mount that goes with this, also when what looks at it panics.
struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        unmount(self.0);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        unmount(&self.mount());
    }
}

/// Lazily: a test beside this one that is just starting a process holds our descriptors for a moment.
fn unmount(mount: &Path) {
    run(Command::new("umount").arg("--lazy").arg(mount));
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
