// SPDX-License-Identifier: MIT OR Apache-2.0
//! A whole disk, with partitions and a boot loader.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use fn_error_context::context;

use super::layout::{Layout, MIB, Place, Role};
use crate::command;
use crate::disk::{FileSystem, on_disk};

/// The label of the root, as the kernel's command line names it.
pub(crate) const ROOT_LABEL: &str = "ostree-root";
/// The label of a `/boot` of its own.
pub(crate) const BOOT_LABEL: &str = "ostree-boot";

/// The image of a disk.
#[derive(Debug)]
pub(crate) struct WholeDisk {
    pub(crate) image: PathBuf,
    layout: Layout,
}

impl WholeDisk {
    /// Partitions with empty file systems, those that the loader reads with these features of `mkfs.ext4(8)`.
    #[context("Partitioning a disk")]
    pub(crate) fn make(image: PathBuf, layout: Layout, features: &str) -> Result<Self> {
        let file = File::create(&image)?;
        file.set_len(layout.size())?;
        let table = image.with_extension("table");
        fs::write(&table, layout.table())?;
        let script = r#"sfdisk --quiet --no-reread --no-tell-kernel "$1" <"$2""#;
        command::run(Command::new("sh").args(["-euc", script, "sh"]).arg(&image).arg(&table))?;
        let disk = Self { image, layout };
        for (role, label) in [(Role::Boot, BOOT_LABEL), (Role::Root, ROOT_LABEL)] {
            let Some(Place { offset, size }) = disk.layout.place(role) else { continue };
            let mut mkfs = Command::new("mkfs.ext4");
            mkfs.args(["-q", "-F", "-L", label, "-O", features, "-E"]).arg(format!("offset={offset}"));
            command::run(mkfs.arg(&disk.image).arg(format!("{}k", size / 1024)))?;
        }
        if disk.layout.place(Role::Esp).is_some() {
            command::run(Command::new("mformat").args(["-F", "-i"]).arg(disk.esp()?))?;
        }
        Ok(disk)
    }

    /// Whether `/boot` is a file system of its own.
    pub(crate) fn has_boot(&self) -> bool {
        self.layout.place(Role::Boot).is_some()
    }

    /// Runs a shell script with the root as its working directory, and `/boot` mounted there.
    pub(crate) fn run(&self, script: &str, arguments: &[&OsStr]) -> Result<String> {
        let root = self.file_system(Role::Root).context("a disk without a root")?;
        let boot = self.file_system(Role::Boot);
        command::output(on_disk(&root, boot.as_ref()).args(["sh", "-euc", script, "sh"]).args(arguments))
    }

    fn file_system(&self, role: Role) -> Option<FileSystem> {
        let place = self.layout.place(role)?;
        Some(FileSystem {
            image: self.image.clone(),
            range: Some((place.offset, place.size)),
            options: "loop",
        })
    }

    /// Writes bytes to a place on the disk.
    pub(crate) fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let file = OpenOptions::new().write(true).open(&self.image);
        let written = file.and_then(|file| file.write_all_at(bytes, offset));
        written.with_context(|| format!("Writing to {}", self.image.display()))
    }

    /// Puts a file on the EFI system partition, in place of one that is there.
    #[context("Putting {path} on the EFI system partition")]
    pub(crate) fn put_on_esp(&self, path: &str, content: &[u8]) -> Result<()> {
        let file = self.image.with_file_name("for-esp");
        fs::write(&file, content)?;
        let mut so_far = String::new();
        for directory in path.split('/').rev().skip(1).collect::<Vec<_>>().into_iter().rev() {
            so_far = format!("{so_far}/{directory}");
            // One that is there is none to be made.
            let _ = command::run(self.mtool("mmd")?.args(["-D", "s"]).arg(format!("::{so_far}")));
        }
        command::run(self.mtool("mcopy")?.arg("-o").arg(&file).arg(format!("::/{path}")))
    }

    /// A text file of the EFI system partition.
    pub(crate) fn read_on_esp(&self, path: &str) -> Result<String> {
        command::output(self.mtool("mtype")?.arg(format!("::/{path}")))
    }

    fn mtool(&self, name: &str) -> Result<Command> {
        let mut command = Command::new(name);
        command.arg("-i").arg(self.esp()?);
        Ok(command)
    }

    /// The partition as mtools name it.
    fn esp(&self) -> Result<std::ffi::OsString> {
        let place = self.layout.place(Role::Esp).context("a disk without an EFI system partition")?;
        let mut name = self.image.clone().into_os_string();
        name.push(format!("@@{}M", place.offset / MIB));
        Ok(name)
    }
}
