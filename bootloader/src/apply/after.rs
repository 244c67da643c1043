// SPDX-License-Identifier: MIT OR Apache-2.0
//! The work that follows the commit: a loader's tool, or its first file.

use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use durable::Proof;
use durable::fault::Mutant;
use rustix::fs::{Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::dirs::{FILE_MODE, kind, open_dir, read_link, read_text};
use crate::loader::{AfterSwitch, Tool};
use crate::names::aside;
use crate::pending::Pending;
use crate::places::Places;
use crate::settings::Settings;

/// Does what a loader needs after a commit.
pub(super) fn update(update: &AfterSwitch, places: Places<'_>, settings: &Settings) -> Result<()> {
    let boot = places.boot;
    match update {
        AfterSwitch::Nothing => Ok(()),
        AfterSwitch::Link { path, target } => link(boot, path, target, settings),
        AfterSwitch::Stub { path, text } => stub(boot, path, text, settings),
        AfterSwitch::Run(tool) => run_tool(tool, places, settings),
    }
}

/// The directory and the name of a file below `/boot`; on its way may be a mount, and on an EFI partition it is.
fn parent<'p>(boot: BorrowedFd<'_>, path: &'p str) -> Result<(std::os::fd::OwnedFd, &'p str)> {
    let (dir, name) = path.rsplit_once('/').unwrap_or((".", path));
    let opened = open_dir(boot, dir)?.with_context(|| format!("There is no directory /boot/{dir}"))?;
    Ok((opened, name))
}

/// In the order of the switch itself, and for its reasons: the link gets to its place on the device, and is exchanged with what was
/// there. A rename over that would free its inode, and a boot loader might find the old name with an inode that is empty.
fn link(boot: BorrowedFd<'_>, path: &str, target: &str, settings: &Settings) -> Result<()> {
    let (dir, name) = parent(boot, path)?;
    let exchange = || -> Result<()> {
        if Mutant::FirstFileByRename.is_on() {
            return durable::switch_link(dir.as_fd(), name, target);
        }
        let staged = read_link(&dir, &aside(name))?.as_deref() == Some(target);
        if !(staged && Pending::is_of_previous_boot(boot)?) {
            durable::stage_link(dir.as_fd(), &aside(name), target)?;
            let proof = durable::prove(dir.as_fd(), settings.freezing)?;
            ensure_settled(&proof, settings)?;
        }
        durable::commit_link(dir.as_fd(), &aside(name), name)
    };
    exchange().with_context(|| format!("Making /boot/{path} a link to {target}"))
}

/// The first file is exchanged once the new one is in its place: before that, a boot loader may find a name that leads to nothing. Where
/// that cannot be proven it stays beside the old one, and a reboot, which replays the journal, brings it there.
fn ensure_settled(proof: &Proof, settings: &Settings) -> Result<()> {
    match proof {
        Proof::Unproven(reason) if !settings.offline => {
            bail!(
                "it is not proven to be in its place yet: {reason}; the first boot after a reboot changes it"
            )
        }
        _ => Ok(()),
    }
}

/// Writes the stub beside the file, and exchanges the two: the one way on FAT that leaves one of them whole whatever a power cut
/// finds. What was there stays as `NAME.old`.
fn stub(boot: BorrowedFd<'_>, path: &str, text: &str, settings: &Settings) -> Result<()> {
    let (dir, name) = parent(boot, path)?;
    let old = format!("{name}.old");
    let exchange = || -> Result<()> {
        let is_there = || Ok::<_, anyhow::Error>(read_text(&dir, &old)?.as_deref() == Some(text));
        if !(is_there()? && Pending::is_of_previous_boot(boot)?) {
            durable::remove_tree(dir.as_fd(), &old)?;
            durable::sync_dir(dir.as_fd())?;
            durable::write_new(dir.as_fd(), &old, text.as_bytes(), FILE_MODE)?;
            ensure!(is_there()?, "what was written to {old} reads back otherwise");
            // To its place, where the file system has a journal. A FAT has none, and the file is synced.
            let proof = durable::prove(dir.as_fd(), settings.freezing)?;
            if !durable::prove::is_fat(dir.as_fd())? {
                ensure_settled(&proof, settings)?;
            }
        }
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
    run_command(&mut command, tool.program, settings.show_tools)
}

/// Has a program write a file of the new set, and brings that to the disk.
pub(super) fn generate(
    program: &str,
    below: &str,
    boot: BorrowedFd<'_>,
    boot_version: u8,
    show: bool,
) -> Result<()> {
    let path = path_of(boot)?.join(below);
    let mut command = Command::new(program);
    command.arg("-o").arg(&path).env("_OSTREE_GRUB2_BOOTVERSION", boot_version.to_string());
    run_command(&mut command, program, show)?;
    ensure!(kind(boot, below)?.is_some(), "{program} has not written {}", path.display());
    let file = rustix::fs::openat(boot, below, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::fs::fsync(file).context("Syncing what it has written")?;
    durable::sync_dir(parent(boot, below)?.0.as_fd())
}

/// Runs a program; the last line that it prints is told only if it fails, unless all is to be shown.
fn run_command(command: &mut Command, name: &str, show: bool) -> Result<()> {
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
