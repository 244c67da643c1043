// SPDX-License-Identifier: MIT OR Apache-2.0
//! Disks that only our tools wrote, and what a boot loader would take from them.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use fn_error_context::context;

use crate::boot_entry::BootEntry;
use crate::command;
use crate::environment::Environment;
use crate::image::Commit;

/// A disk with one deployment, and copies of the kernel and initramfs that its best boot entry names.
#[derive(Debug)]
pub(crate) struct Disk {
    /// The raw image.
    pub(crate) image: PathBuf,
    /// The best boot entry.
    pub(crate) entry: BootEntry,
    /// Copy of the kernel.
    pub(crate) kernel: PathBuf,
    /// Content of the initramfs.
    pub(crate) initrd: Vec<u8>,
}

/// Makes a disk in `directory` with the commit deployed, and returns it with what our `ostree` said.
#[context("Making a disk in {}", directory.display())]
pub(crate) fn make(environment: &Environment, commit: &Commit, directory: &Path) -> Result<(Disk, String)> {
    let image = directory.join("disk.raw");
    let mut script = in_namespace(include_str!("../host/make-disk.sh"));
    script.arg(&image).arg(environment.program("usr/bin/ostree")).arg(&commit.repo).arg(&commit.reference);
    let said = command::output(&mut script)?;
    Ok((open(image, directory)?, said))
}

impl Disk {
    /// A copy in another directory, to be written to.
    pub(crate) fn copy(&self, directory: &Path) -> Result<Self> {
        let image = directory.join("disk.raw");
        command::run(Command::new("cp").arg("--sparse=always").arg(&self.image).arg(&image))?;
        open(image, directory)
    }

    /// Runs a shell script with the file system as its working directory, and returns what it wrote.
    pub(crate) fn run(&self, script: &str, arguments: &[&OsStr]) -> Result<String> {
        command::output(on_disk(&self.image).args(["sh", "-euc", script, "sh"]).args(arguments))
    }

    /// The deployment that the best boot entry leads to, as `CHECKSUM.SERIAL`.
    pub(crate) fn deployment(&self) -> Result<String> {
        let link = self.entry.options.split(' ').find_map(|option| option.strip_prefix("ostree="));
        let link = link.context("the best boot entry has no ostree=")?;
        let script = r#"basename "$(readlink -e "./$1")""#;
        Ok(self.run(script, &[OsStr::new(link)])?.trim().to_owned())
    }
}

/// Reads what a loader would boot.
pub(crate) fn open(image: PathBuf, directory: &Path) -> Result<Disk> {
    let list = r#"for entry in boot/loader/entries/*.conf; do cat "$entry"; printf '\0'; done"#;
    let entries = command::output(on_disk(&image).args(["sh", "-euc", list]))?;
    let entry = BootEntry::best(entries.split_terminator('\0')).context("Reading boot/loader/entries")?;
    let kernel = take_from_boot(&image, &entry.linux, directory)?;
    let initrd = take_from_boot(&image, &entry.initrd, directory)?;
    let initrd = fs::read(&initrd).with_context(|| format!("Reading {}", initrd.display()))?;
    Ok(Disk { image, entry, kernel, initrd })
}

/// Copies a file that an entry names out of the image.
fn take_from_boot(image: &Path, path: &str, directory: &Path) -> Result<PathBuf> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let copy = directory.join(name);
    // Root and /boot share a file system here: an entry may name the file with or without the prefix.
    let script = r#"path=${1#/}; [ -e "boot/$path" ] || path=${path#boot/}; cp "boot/$path" "$2""#;
    command::run(on_disk(image).args(["sh", "-euc", script, "sh", path]).arg(&copy))?;
    Ok(copy)
}

/// A command that runs another one with the image mounted as its working directory.
fn on_disk(image: &Path) -> Command {
    let mut command = in_namespace(include_str!("../host/on-disk.sh"));
    command.arg(image);
    command
}

/// A shell script in a mount namespace of its own.
fn in_namespace(script: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-euc", script, "sh"]);
    command
}
