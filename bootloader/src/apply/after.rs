// SPDX-License-Identifier: MIT OR Apache-2.0
//! What follows the commit: a loader's tool, or its first file. And the stamp that keeps it from being forgotten.
//!
//! ```text
//! /boot/ostree-bootloader-update.stamp     written before the commit, removed when the boot loader is up to date
//! ```
//!
//! While it is there, the boot loader may still boot from the old set: nothing of that is removed, and no other set is written. The
//! C tools have the same stamp for the same purpose, and leave it behind when their tool fails.

use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use durable::Proof;
use durable::fault::{self, Mutant};
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::loader::{AfterSwitch, Tool};
use crate::plan::{Generate, Settings, SwitchPlan};
use crate::state::read::{kind, open_dir, read_text};
use crate::state::{BootState, Places};

/// Its name in `/boot`.
pub(super) const STAMP: &str = "ostree-bootloader-update.stamp";

const FILE_MODE: Mode = Mode::from_raw_mode(0o644);

/// What is still to be done after a switch that has been made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pending {
    /// Why it is not done.
    pub(crate) reason: String,
}

/// Why the boot loader may still boot from the entries before the last switch; `None` once it has been brought up to date.
pub fn unfinished(places: Places<'_>) -> Result<Option<String>> {
    Ok(Pending::of(places)?.map(|pending| pending.reason))
}

impl Pending {
    /// What the stamp says, if it is there.
    pub(crate) fn of(places: Places<'_>) -> Result<Option<Self>> {
        let text = read_text(places.boot, STAMP)?;
        let reason = |text: String| match text.lines().next() {
            Some(line) if !line.is_empty() => line.to_owned(),
            // The C tools write none.
            _ => "the switch was interrupted".to_owned(),
        };
        Ok(text.map(|text| Self { reason: reason(text) }))
    }

    pub(super) fn write(boot: BorrowedFd<'_>, reason: &str) -> Result<()> {
        durable::replace(boot, STAMP, format!("{}\n", reason.replace('\n', " ")).as_bytes(), FILE_MODE)
    }

    /// Removes the stamp of a switch that did not come to its commit; there was none before it, or it would not have begun.
    pub(super) fn forget(plan: &SwitchPlan, places: Places<'_>) -> Result<()> {
        if plan.after == AfterSwitch::Nothing { Ok(()) } else { remove(places.boot) }
    }

    /// Does what a former switch has left to be done, for the entries that are chosen now. Gives what it is, if it fails again.
    pub(crate) fn finish(places: Places<'_>, state: &BootState, settings: &Settings) -> Result<Option<Self>> {
        if Self::of(places)?.is_none() {
            return Ok(None);
        }
        let installed = &settings.installed;
        if let Some(default) = state.entries.first() {
            let after = installed.loader.after_switch(installed, &default.entry)?;
            let proof = durable::prove(places.boot, settings.freezing)?;
            run(&after, places, settings, proof)?;
        }
        Self::of(places)
    }
}

/// Does what follows a commit whose proof is given; gives the proof of all of it. A failure is written into the stamp.
pub(super) fn run(
    after: &AfterSwitch,
    places: Places<'_>,
    settings: &Settings,
    proof: Proof,
) -> Result<Proof> {
    let boot = places.boot;
    fault::point("after-switch");
    let done = match after {
        AfterSwitch::Nothing => Ok(()),
        AfterSwitch::Link { path, target } => link(boot, path, target, settings),
        AfterSwitch::Stub { path, text } => stub(boot, path, text, settings),
        AfterSwitch::Run(tool) => run_tool(tool, places, settings),
    };
    if let Err(err) = done {
        Pending::write(boot, &format!("{err:#}"))?;
        return Ok(proof);
    }
    // The first file is read by a boot loader, too.
    let proof = match after {
        AfterSwitch::Link { .. } | AfterSwitch::Stub { .. } if proof.is_proven() => {
            durable::prove(boot, settings.freezing)?
        }
        _ => proof,
    };
    if let AfterSwitch::Link { path, .. } = after
        && proof.is_proven()
    {
        let (dir, name) = parent(boot, path)?;
        durable::remove_tree(dir.as_fd(), &temporary(name))?;
    }
    remove(boot)?;
    Ok(proof)
}

fn remove(boot: BorrowedFd<'_>) -> Result<()> {
    match rustix::fs::unlinkat(boot, STAMP, AtFlags::empty()) {
        Ok(()) => durable::sync_dir(boot),
        Err(Errno::NOENT) => Ok(()),
        Err(err) => Err(err).with_context(|| format!("Removing /boot/{STAMP}")),
    }
}

/// The directory and the name of a file below `/boot`; on its way may be a mount, and on an EFI partition it is.
fn parent<'p>(boot: BorrowedFd<'_>, path: &'p str) -> Result<(std::os::fd::OwnedFd, &'p str)> {
    let (dir, name) = path.rsplit_once('/').unwrap_or((".", path));
    let opened = open_dir(boot, dir)?.with_context(|| format!("There is no directory /boot/{dir}"))?;
    Ok((opened, name))
}

/// Under which name the link is made, and what was there stays until the change is proven.
pub(super) fn temporary(name: &str) -> String {
    format!("{name}.tmp")
}

/// In the order of the switch itself, and for its reasons: the link gets to its place on the device, and is exchanged with what was
/// there. A rename over that would free its inode, and a boot loader might find the old name with an inode that is empty.
fn link(boot: BorrowedFd<'_>, path: &str, target: &str, settings: &Settings) -> Result<()> {
    let (dir, name) = parent(boot, path)?;
    let exchange = || -> Result<()> {
        if Mutant::FirstFileByRename.is_on() {
            return durable::switch_link(dir.as_fd(), name, target);
        }
        durable::stage_link(dir.as_fd(), &temporary(name), target)?;
        durable::prove(dir.as_fd(), settings.freezing)?;
        durable::commit_link(dir.as_fd(), &temporary(name), name)
    };
    exchange().with_context(|| format!("Making /boot/{path} a link to {target}"))
}

/// Writes the stub beside the file, and exchanges the two: the one way on FAT that leaves one of them whole whatever a power cut
/// finds. What was there stays as `NAME.old`.
fn stub(boot: BorrowedFd<'_>, path: &str, text: &str, settings: &Settings) -> Result<()> {
    let (dir, name) = parent(boot, path)?;
    let old = format!("{name}.old");
    let exchange = || -> Result<()> {
        durable::remove_tree(dir.as_fd(), &old)?;
        durable::sync_dir(dir.as_fd())?;
        durable::write_new(dir.as_fd(), &old, text.as_bytes(), FILE_MODE)?;
        let written = read_text(&dir, &old)?;
        ensure!(written.as_deref() == Some(text), "what was written to {old} reads back otherwise");
        // To its place, where the file system has a journal.
        durable::prove(dir.as_fd(), settings.freezing)?;
        match rustix::fs::renameat_with(&dir, &old, &dir, name, RenameFlags::EXCHANGE) {
            Ok(()) => {}
            Err(Errno::INVAL | Errno::NOSYS) => {
                bail!(
                    "this kernel cannot exchange two files there (Linux 6.0 can); rename {old} to {name} by hand"
                )
            }
            Err(err) => return Err(err.into()),
        }
        durable::sync_dir(dir.as_fd())?;
        // A flush, which a FAT gets by the sync of a file only.
        let file = rustix::fs::openat(&dir, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        rustix::fs::fsync(file)?;
        Ok(())
    };
    exchange().with_context(|| format!("Writing /boot/{path}"))
}

/// Runs the tool where its relative paths begin: at the root of the system that it is for.
fn run_tool(tool: &Tool, places: Places<'_>, settings: &Settings) -> Result<()> {
    if settings.offline {
        bail!(
            "{} runs in the system that it is for: boot it by other means, and run `ostree admin cleanup`",
            tool.program
        );
    }
    let mut command = Command::new(tool.program);
    command.args(&tool.args).current_dir(path_of(places.root)?);
    if let Some(path) = &settings.tool_path {
        command.env("PATH", path);
    }
    run_command(&mut command, tool.program)
}

/// Has a program write a file of the new set, and brings that to the disk.
pub(super) fn generate(
    generate: &Generate,
    loader: &str,
    boot: BorrowedFd<'_>,
    boot_version: u8,
) -> Result<()> {
    let below = format!("{loader}/{}", generate.path);
    let path = path_of(boot)?.join(&below);
    let mut command = Command::new(&generate.program);
    command.arg("-o").arg(&path).env("_OSTREE_GRUB2_BOOTVERSION", boot_version.to_string());
    run_command(&mut command, &generate.program)?;
    ensure!(kind(boot, &below)?.is_some(), "{} has not written {}", generate.program, path.display());
    let file = rustix::fs::openat(boot, &below, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::fs::fsync(file).context("Syncing what it has written")?;
    durable::sync_dir(parent(boot, &below)?.0.as_fd())
}

/// What it prints is shown only if it fails, or with `OSTREE_DEBUG_GRUB2`, as with the C tools.
fn run_command(command: &mut Command, name: &str) -> Result<()> {
    let show = std::env::var_os("OSTREE_DEBUG_GRUB2").is_some();
    command.stdin(Stdio::null());
    if show {
        let status = command.status().with_context(|| format!("Running {name}"))?;
        ensure!(status.success(), "{name}: {status}");
        return Ok(());
    }
    let output = command.output().with_context(|| format!("Running {name}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let said = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    ensure!(output.status.success(), "{name}: {}: {said}", output.status);
    Ok(())
}

/// The path of an open directory.
fn path_of(dir: BorrowedFd<'_>) -> Result<std::path::PathBuf> {
    use std::os::fd::AsRawFd;
    let link = format!("/proc/self/fd/{}", dir.as_raw_fd());
    std::fs::read_link(&link).with_context(|| format!("Reading {link}"))
}
