// SPDX-License-Identifier: MIT OR Apache-2.0
//! A file system of its own in an image. Needs root, loop devices, and the `mkfs` of the file system.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::FallocateFlags;

use crate::{capture, run};

/// An image that is mounted until this is dropped.
pub struct Disk {
    kind: &'static str,
    mount: PathBuf,
    /// Has the image.
    dir: tempfile::TempDir,
}

impl Disk {
    /// Makes a file system of this kind in a temporary directory, and mounts it.
    ///
    /// # Panics
    ///
    /// It cannot be made or mounted.
    pub fn new(kind: &'static str, mebibytes: u64) -> Self {
        Self::with_options(kind, mebibytes, &[])
    }

    /// Makes it with further options of `mkfs`.
    ///
    /// # Panics
    ///
    /// As [`Disk::new`].
    pub fn with_options(kind: &'static str, mebibytes: u64, mkfs: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mount = dir.path().join("mnt");
        std::fs::create_dir(&mount).unwrap();
        Self::in_dir(dir, &mount, kind, mebibytes, mkfs)
    }

    /// Makes it in a temporary directory, and mounts it at `mount`.
    ///
    /// # Panics
    ///
    /// As [`Disk::new`].
    pub fn mounted_at(mount: &Path, kind: &'static str, mebibytes: u64, mkfs: &[&str]) -> Self {
        Self::in_dir(tempfile::tempdir().unwrap(), mount, kind, mebibytes, mkfs)
    }

    fn in_dir(
        dir: tempfile::TempDir,
        mount: &Path,
        kind: &'static str,
        mebibytes: u64,
        mkfs: &[&str],
    ) -> Self {
        let image = dir.path().join("image");
        File::create(&image).unwrap().set_len(mebibytes << 20).unwrap();
        run(Command::new(format!("mkfs.{kind}")).arg("-q").args(mkfs).arg(&image));
        run(Command::new("mount").args(["-t", kind, "-o", "loop"]).arg(&image).arg(mount));
        Self { kind, mount: mount.to_owned(), dir }
    }

    /// The kind of the file system.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The file with the file system.
    pub fn image(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    /// The directory that it is mounted at.
    pub fn mount(&self) -> &Path {
        &self.mount
    }

    /// Opens the top of the file system.
    ///
    /// # Panics
    ///
    /// It cannot be opened.
    pub fn root(&self) -> File {
        File::open(&self.mount).unwrap()
    }

    /// The loop device that it is mounted from.
    ///
    /// # Panics
    ///
    /// `findmnt` fails.
    pub fn device(&self) -> String {
        device_of(&self.mount)
    }

    /// Mounts a copy of the device as it is now, with or without replay of its journal, for `look`.
    ///
    /// # Panics
    ///
    /// It cannot be copied or mounted.
    pub fn look<T>(&self, replay: bool, look: impl FnOnce(&Path) -> T) -> T {
        let options = match (self.kind, replay) {
            ("xfs", true) => "loop,nouuid",
            (_, true) => "loop",
            ("ext4", false) => "loop,ro,noload",
            ("xfs", false) => "loop,ro,norecovery,nouuid",
            (_, false) => "loop,ro,rescue=nologreplay",
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

impl Drop for Disk {
    fn drop(&mut self) {
        unmount(&self.mount);
    }
}

/// A mount that goes with this, also when `look` panics.
struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        unmount(self.0);
    }
}

/// Takes all blocks of the file system of `dir` but `free` bytes of them; gives the file that has them.
///
/// # Panics
///
/// The file cannot be made.
pub fn fill(dir: &Path, free: u64) -> PathBuf {
    let path = dir.join("filler");
    let file = File::create(&path).unwrap();
    let mut length = 0;
    for chunk in [1 << 20, 4 << 10] {
        while rustix::fs::fallocate(&file, FallocateFlags::empty(), length, chunk).is_ok() {
            length += chunk;
        }
    }
    file.set_len(length.saturating_sub(free)).unwrap();
    path
}

/// The device that is mounted at `mount`.
///
/// # Panics
///
/// `findmnt` fails.
pub fn device_of(mount: &Path) -> String {
    capture(Command::new("findmnt").args(["-nrvo", "SOURCE"]).arg(mount))
}

/// Unmounts lazily: a test beside this one that is just starting a process holds our descriptors for a moment.
///
/// # Panics
///
/// Nothing is mounted there.
pub fn unmount(mount: &Path) {
    run(Command::new("umount").arg("--lazy").arg(mount));
}
