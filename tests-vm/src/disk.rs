// SPDX-License-Identifier: MIT OR Apache-2.0
//! Disks that only our tools wrote, and what a boot loader would take from them.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use fn_error_context::context;

use crate::boot_entry::BootEntry;
use crate::command;
use crate::environment::Environment;
use crate::guest;
use crate::image::Commit;
use crate::machine::Start;

/// A file system in an image.
#[derive(Debug, Clone)]
pub(crate) struct FileSystem {
    pub(crate) image: PathBuf,
    /// Where it is in there, and its size, in bytes; else it is all of it.
    pub(crate) range: Option<(u64, u64)>,
    /// Options of `mount(8)`.
    pub(crate) options: &'static str,
}

impl FileSystem {
    /// One that is all of an image.
    fn all_of(image: &Path) -> Self {
        Self { image: image.to_owned(), range: None, options: "loop" }
    }

    /// The options of `mount(8)`.
    fn options(&self) -> String {
        match self.range {
            Some((offset, size)) => format!("{},offset={offset},sizelimit={size}", self.options),
            None => self.options.to_owned(),
        }
    }
}

/// Sparse, with room for two systems.
const SIZE: u64 = 2 << 30;

/// A disk, and copies of the kernel and initramfs that its best boot entry names.
#[derive(Debug)]
pub(crate) struct Disk {
    /// The raw image of the root.
    pub(crate) image: PathBuf,
    /// The raw image of a `/boot` of its own.
    boot: Option<PathBuf>,
    /// The best boot entry.
    pub(crate) entry: BootEntry,
    /// Copy of the kernel.
    pub(crate) kernel: PathBuf,
    /// Content of the initramfs.
    pub(crate) initrd: Vec<u8>,
}

/// Makes a disk in `directory` with the commit deployed, and returns it with what our `ostree` said.
pub(crate) fn make(environment: &Environment, commit: &Commit, directory: &Path) -> Result<(Disk, String)> {
    make_on(environment, commit, directory, "mkfs.ext4")
}

/// As [`make`], with a root that another program has made.
#[context("Making a disk in {}", directory.display())]
pub(crate) fn make_on(
    environment: &Environment,
    commit: &Commit,
    directory: &Path,
    mkfs: &str,
) -> Result<(Disk, String)> {
    let image = directory.join("disk.raw");
    fs::File::create(&image).and_then(|file| file.set_len(SIZE)).context("Creating the image")?;
    command::run(Command::new(mkfs).args(["-q", "-L", "ostree-root"]).arg(&image))?;
    let mut script = on_disk(&FileSystem::all_of(&image), None);
    script.args(["sh", "-euc", INSTALL, "sh"]);
    let arguments = install_arguments(environment, commit, false, "root=LABEL=ostree-root rw");
    let said = command::output(script.args(arguments))?;
    Ok((open(image, None)?, said))
}

/// The script that makes a sysroot with one deployment in its working directory.
pub(crate) const INSTALL: &str = include_str!("../host/install.sh");

/// Its arguments: what is deployed, `[sysroot] bootprefix`, and the kernel's.
pub(crate) fn install_arguments(
    environment: &Environment,
    commit: &Commit,
    bootprefix: bool,
    kernel: &str,
) -> Vec<OsString> {
    let program = environment.program("usr/bin/ostree").into_os_string();
    let repo = commit.repo.clone().into_os_string();
    let mut arguments = vec![program, repo, (&commit.reference).into(), bootprefix.to_string().into()];
    arguments.extend(kernel.split_ascii_whitespace().map(OsString::from));
    arguments
}

impl Disk {
    /// A copy in another directory, to be written to.
    pub(crate) fn copy(&self, directory: &Path) -> Result<Self> {
        let copy = |image: &PathBuf| {
            let copy = directory.join(image.file_name().context("an image without a name")?);
            command::run(Command::new("cp").arg("--sparse=always").arg(image).arg(&copy))?;
            anyhow::Ok(copy)
        };
        open(copy(&self.image)?, self.boot.as_ref().map(copy).transpose()?)
    }

    /// The disk as it is now, after something has written to it.
    pub(crate) fn read_again(self) -> Result<Self> {
        open(self.image, self.boot)
    }

    /// The same with `/boot` on a disk of its own, mounted with these options of `fstab(5)`.
    #[context("Giving /boot a disk of its own")]
    pub(crate) fn separate_boot(self, options: &str) -> Result<Self> {
        let boot = self.image.with_file_name("boot.raw");
        self.run(include_str!("../host/separate-boot.sh"), &[boot.as_os_str(), OsStr::new(options)])?;
        open(self.image, Some(boot))
    }

    /// The disk as a boot loader reads it now: no log is replayed, and nothing is written. Of an xfs.
    pub(crate) fn without_replay(&self) -> Result<Self> {
        let root = FileSystem { options: "loop,ro,norecovery,nouuid", ..FileSystem::all_of(&self.image) };
        let read = open_with(self.image.clone(), None, || on_disk(&root, None));
        read.context("Reading the disk as a boot loader does")
    }

    /// Starts the best entry with the scenario's unit; these archives stand behind its initramfs.
    pub(crate) fn start(&self, more: &[Vec<u8>]) -> Start {
        Start::Kernel {
            kernel: self.kernel.clone(),
            initrd: [std::slice::from_ref(&self.initrd), more].concat(),
            arguments: format!("{} {} {}", self.entry.options, guest::ARGUMENTS, guest::SCENARIO_ARGUMENTS),
        }
    }

    /// The images with their serials.
    pub(crate) fn images(&self) -> Vec<(PathBuf, &'static str)> {
        let boot = self.boot.iter().map(|image| (image.clone(), "boot"));
        std::iter::once((self.image.clone(), "root")).chain(boot).collect()
    }

    /// Runs a shell script with the file system as its working directory, and returns what it wrote.
    pub(crate) fn run(&self, script: &str, arguments: &[&OsStr]) -> Result<String> {
        let mut command = mounted(&self.image, self.boot.as_deref());
        command::output(command.args(["sh", "-euc", script, "sh"]).args(arguments))
    }

    /// The deployment that the best boot entry leads to, as `STATEROOT/CHECKSUM.SERIAL`.
    pub(crate) fn deployment(&self) -> Result<String> {
        let link = self.entry.options.split(' ').find_map(|option| option.strip_prefix("ostree="));
        let link = link.context("the best boot entry has no ostree=")?;
        let script = r#"readlink -e "./$1" | sed 's|.*/ostree/deploy/\(.*\)/deploy/|\1/|'"#;
        Ok(self.run(script, &[OsStr::new(link)])?.trim().to_owned())
    }

    /// Reads a stateroot's journal of all its boots; `filter` is for `journalctl(1)`.
    pub(crate) fn journal(&self, stateroot: &str, filter: &[&str]) -> Result<String> {
        let script = r#"dir=ostree/deploy/$1/var/log/journal; shift
            exec journalctl --directory="$dir" --quiet --no-pager --output=cat "$@""#;
        let arguments: Vec<&OsStr> = std::iter::once(&stateroot).chain(filter).map(OsStr::new).collect();
        self.run(script, &arguments)
    }
}

/// Reads what a loader would boot, and copies it to where the image is.
pub(crate) fn open(image: PathBuf, boot: Option<PathBuf>) -> Result<Disk> {
    let command = || mounted(&image, boot.as_deref());
    open_with(image.clone(), boot.clone(), command)
}

/// As [`open`]; each call of `command` mounts it.
fn open_with(image: PathBuf, boot: Option<PathBuf>, command: impl Fn() -> Command) -> Result<Disk> {
    let list = r#"for entry in boot/loader/entries/*.conf; do cat "$entry"; printf '\0'; done"#;
    let entries = command::output(command().args(["sh", "-euc", list]))?;
    let entry = BootEntry::best(entries.split_terminator('\0')).context("Reading boot/loader/entries")?;
    let kernel = take_from_boot(command(), &image, &entry.linux)?;
    let initrd = take_from_boot(command(), &image, &entry.initrd)?;
    let initrd = fs::read(&initrd).with_context(|| format!("Reading {}", initrd.display()))?;
    Ok(Disk { image, boot, entry, kernel, initrd })
}

/// Copies a file that an entry names to where the image is.
fn take_from_boot(mut on_disk: Command, image: &Path, path: &str) -> Result<PathBuf> {
    let copy = image.with_file_name(path.rsplit('/').next().unwrap_or(path));
    // Where root and /boot share a file system, an entry may name the file with or without the prefix.
    let script = r#"path=${1#/}; [ -e "boot/$path" ] || path=${path#boot/}; cp "boot/$path" "$2""#;
    command::run(on_disk.args(["sh", "-euc", script, "sh", path]).arg(&copy))?;
    Ok(copy)
}

/// The same for images that are file systems.
fn mounted(image: &Path, boot: Option<&Path>) -> Command {
    on_disk(&FileSystem::all_of(image), boot.map(FileSystem::all_of).as_ref())
}

/// A command that runs another one with the file systems mounted as its working directory, in a mount namespace of its
/// own.
pub(crate) fn on_disk(root: &FileSystem, boot: Option<&FileSystem>) -> Command {
    let mut command = Command::new("unshare");
    command.args([
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-euc",
        include_str!("../host/on-disk.sh"),
        "sh",
    ]);
    command.arg(&root.image).arg(root.options());
    match boot {
        Some(boot) => command.arg(&boot.image).arg(boot.options()),
        None => command.args(["", ""]),
    };
    command
}
