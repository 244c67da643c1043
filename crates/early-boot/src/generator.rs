// SPDX-License-Identifier: MIT OR Apache-2.0
//! Units that depend on how the system was booted, for systemd to load.
//!
//! `/var` is the stateroot's unless a file system of its own is meant for it, and which stateroot was booted only
//! the kernel command line knows.

mod units;

use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use formats::bootlink::Bootlink;
use formats::kernel_args::KernelArgs;
use mounts::Table;
use prepare_root::report;
use prepare_root::resolve::{TargetError, boot_link, resolve_link};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

pub use units::{Facts, Item, plan};

/// The name of the program in its messages.
const NAME: &str = "ostree-system-generator";

/// Writes the units of this boot. `root` is `/` but in tests; the arguments are those of `systemd.generator(7)`,
/// of which the first, the normal directory, is used: it gives way to `/etc`.
///
/// Each unit is decided on by itself: what cannot be found out or written keeps no other one from being written. A unit that
/// another generator has written already is its decision, and stays.
///
/// # Errors
///
/// Wrong arguments, or files that cannot be read or created, all of them.
pub fn run(root: &Path, mut arguments: impl Iterator<Item = OsString>) -> anyhow::Result<()> {
    let Some(directory) = arguments.next().map(PathBuf::from) else {
        bail!("usage: ostree-system-generator NORMAL-DIR [EARLY-DIR LATE-DIR]");
    };
    let Some((facts, mut problems)) = gather(root)? else { return Ok(()) };
    let applied = apply(&directory, &plan(&facts))?;
    for path in &applied.skipped {
        let path = directory.join(path);
        let text = format!("{} is there already, of another generator: it stays", path.display());
        report::to_standard_error(NAME, &text);
        report::to_kernel_log(report::INFO, NAME, &text);
    }
    problems.extend(applied.problems);
    let texts: Vec<String> = problems.iter().map(|problem| format!("{problem:#}")).collect();
    if texts.is_empty() { Ok(()) } else { bail!(texts.join("; ")) }
}

/// Looks at the system; `None` when there is nothing for us to do. Beside what is known, why the rest is not.
///
/// # Errors
///
/// A file that cannot be read, and without which nothing is known.
pub fn gather(root: &Path) -> anyhow::Result<Option<(Facts, Vec<anyhow::Error>)>> {
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
    let mut problems = Vec::new();
    let stateroot = match boot_link(&arguments) {
        // A live system may have prepared its root in a way of its own.
        Err(TargetError::NoArgument) => return Ok(None),
        Err(error) => Err(error.into()),
        Ok(link) => stateroot(root, link),
    };
    let fstab = fstab(&root.join("etc/fstab"));
    let has = |path: &str| match &fstab {
        Ok(table) => table.as_ref().is_some_and(|table| table.find_target(Path::new(path)).is_some()),
        Err(_) => true,
    };
    let (var_in_fstab, boot_in_fstab) = (has("/var"), has("/boot"));
    let stateroot = stateroot.map_err(|error| problems.push(error.context("/var is not mounted"))).ok();
    problems.extend(fstab.err().map(|error| error.context("Neither /var nor /boot are mounted by us")));
    let boot_on_sysroot = root.join("sysroot/boot/loader").is_symlink() && is_directory(&root.join("boot"));
    Ok(Some((Facts { stateroot, var_in_fstab, boot_in_fstab, boot_on_sysroot }, problems)))
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

/// The outcome for each unit.
#[derive(Debug, Default)]
pub struct Applied {
    /// Files of others that had the name already, and links for what is theirs.
    pub skipped: Vec<&'static str>,
    /// Why something could not be created, with its path.
    pub problems: Vec<anyhow::Error>,
}

/// Creates items in `directory`. What is there already stays, and no link is made to a unit that is not ours.
///
/// # Errors
///
/// The directory cannot be opened.
pub fn apply(directory: &Path, items: &[Item]) -> anyhow::Result<Applied> {
    let opened = File::open(directory).with_context(|| format!("Opening {}", directory.display()))?;
    let mut applied = Applied::default();
    for item in items {
        if let Item::Link { target, .. } = item
            && applied.skipped.iter().any(|left| target.strip_prefix("../") == Some(left))
        {
            continue;
        }
        match create(opened.as_fd(), item) {
            Ok(true) => {}
            Ok(false) => applied.skipped.push(item.path()),
            Err(error) => applied.problems.push(
                anyhow::Error::from(error)
                    .context(format!("Creating {}", directory.join(item.path()).display())),
            ),
        }
    }
    Ok(applied)
}

/// Creates an item; `false` if something else has its name.
fn create(directory: BorrowedFd<'_>, item: &Item) -> std::io::Result<bool> {
    if let Some((parent, _)) = item.path().split_once('/') {
        match rustix::fs::mkdirat(directory, parent, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    match item {
        Item::File { path, content } => {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let file = match rustix::fs::openat(directory, *path, flags, Mode::from_raw_mode(0o644)) {
                Err(Errno::EXIST) => return Ok(false),
                other => other?,
            };
            // Half a unit could mean something else.
            File::from(file).write_all(content.as_bytes()).inspect_err(|_| {
                let _ = rustix::fs::unlinkat(directory, *path, AtFlags::empty());
            })?;
        }
        Item::Link { path, target } => match rustix::fs::symlinkat(*target, directory, *path) {
            Err(Errno::EXIST) => {
                let found = rustix::fs::readlinkat(directory, *path, Vec::new());
                return Ok(found.is_ok_and(|found| found.to_bytes() == target.as_bytes()));
            }
            other => other?,
        },
    }
    Ok(true)
}

impl Item {
    /// Where it goes, relative to the directory of units; at most one directory deep.
    pub fn path(&self) -> &'static str {
        match self {
            Self::File { path, .. } | Self::Link { path, .. } => path,
        }
    }
}
