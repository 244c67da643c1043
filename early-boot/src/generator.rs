// SPDX-License-Identifier: MIT OR Apache-2.0
//! Units that depend on how the system was booted, for systemd to load.
//!
//! `/var` is the stateroot's unless a file system of its own is meant for it, and which stateroot was booted only
//! the kernel command line knows.

mod units;

use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use formats::bootlink::Bootlink;
use formats::kernel_args::KernelArgs;
use mounts::Table;
use prepare_root::resolve::{TargetError, boot_link, resolve_link};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

pub use units::plan;

/// What the units depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The stateroot that was booted.
    pub stateroot: String,
    /// `fstab` has a file system for `/var`.
    pub var_in_fstab: bool,
    /// `fstab` has a file system for `/boot`.
    pub boot_in_fstab: bool,
    /// The boot loader's files are on the physical root itself.
    pub boot_on_sysroot: bool,
}

/// Something to create in a directory of units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A file.
    File {
        /// Relative to the directory.
        path: &'static str,
        /// Its content.
        content: String,
    },
    /// A symbolic link.
    Link {
        /// Relative to the directory.
        path: &'static str,
        /// Where it leads.
        target: &'static str,
    },
}

/// Writes the units of this boot. `root` is `/` but in tests; the arguments are those of `systemd.generator(7)`,
/// of which the first, the normal directory, is used: it gives way to `/etc`.
///
/// # Errors
///
/// Wrong arguments, or a file that cannot be read or created.
pub fn run(root: &Path, mut arguments: impl Iterator<Item = OsString>) -> anyhow::Result<()> {
    let Some(directory) = arguments.next().map(PathBuf::from) else {
        bail!("usage: ostree-system-generator NORMAL-DIR [EARLY-DIR LATE-DIR]");
    };
    match gather(root)? {
        Some(facts) => apply(&directory, &plan(&facts)),
        None => Ok(()),
    }
}

/// Looks at the system; `None` when there is nothing for us to do.
///
/// # Errors
///
/// A file that cannot be read.
pub fn gather(root: &Path) -> anyhow::Result<Option<Facts>> {
    // The initramfs has mounted /var already. The mark is for one run: what is mounted, systemd knows of later.
    match std::fs::remove_file(root.join("run/ostree/initramfs-mount-var")) {
        Ok(()) => return Ok(None),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error).context("Removing /run/ostree/initramfs-mount-var"),
    }
    // Not booted through a deployment.
    if !root.join("run/ostree").is_dir() {
        return Ok(None);
    }
    let line = std::fs::read_to_string(root.join("proc/cmdline")).context("Reading /proc/cmdline")?;
    let arguments = KernelArgs::parse(&line);
    let link = match boot_link(&arguments) {
        Ok(link) => link,
        // A live system may have prepared its root in a way of its own.
        Err(TargetError::NoArgument) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let fstab = fstab(&root.join("etc/fstab"))?;
    let mounts = |path| fstab.as_ref().is_some_and(|table| table.find_target(Path::new(path)).is_some());
    Ok(Some(Facts {
        stateroot: stateroot(root, link)?,
        var_in_fstab: mounts("/var"),
        boot_in_fstab: mounts("/boot"),
        boot_on_sysroot: root.join("sysroot/boot/loader").is_symlink() && is_directory(&root.join("boot")),
    }))
}

/// The stateroot that a boot link names, or that it leads to where it names none.
fn stateroot(root: &Path, link: &str) -> anyhow::Result<String> {
    if let Ok(link) = link.parse::<Bootlink>() {
        return Ok(link.stateroot);
    }
    let sysroot = File::open(root.join("sysroot")).context("Opening /sysroot")?;
    Ok(resolve_link(sysroot.as_fd(), link)?.deployment.path.stateroot)
}

fn fstab(path: &Path) -> anyhow::Result<Option<Table>> {
    match Table::parse_fstab(path) {
        Ok(table) => Ok(Some(table)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("Reading {}", path.display())),
    }
}

fn is_directory(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// Creates items in `directory`. What is there already is an error: two generators want the same unit.
///
/// # Errors
///
/// Names what cannot be created.
pub fn apply(directory: &Path, items: &[Item]) -> anyhow::Result<()> {
    let opened = File::open(directory).with_context(|| format!("Opening {}", directory.display()))?;
    for item in items {
        let path = item.path();
        create(opened.as_fd(), item)
            .with_context(|| format!("Creating {}", directory.join(path).display()))?;
    }
    Ok(())
}

fn create(directory: std::os::fd::BorrowedFd<'_>, item: &Item) -> std::io::Result<()> {
    if let Some((parent, _)) = item.path().split_once('/') {
        match rustix::fs::mkdirat(directory, parent, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    match item {
        Item::File { path, content } => {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let file = rustix::fs::openat(directory, *path, flags, Mode::from_raw_mode(0o644))?;
            File::from(file).write_all(content.as_bytes())
        }
        Item::Link { path, target } => Ok(rustix::fs::symlinkat(*target, directory, *path)?),
    }
}

impl Item {
    /// Where it goes, relative to the directory of units; at most one directory deep.
    pub fn path(&self) -> &'static str {
        match self {
            Self::File { path, .. } | Self::Link { path, .. } => path,
        }
    }
}
