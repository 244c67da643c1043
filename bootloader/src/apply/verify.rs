// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading what was staged as a boot loader and the initramfs will, while it can still be thrown away.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, Result};
use formats::bls;
use formats::bls::Entry;
use prepare_root::resolve::{TargetError, resolve_link};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::dirs::kind;
use crate::files::{CopyFile, NewLink};
use crate::loader::ShownEntry;
use crate::names::PRESTAGED;
use crate::places::Places;
use crate::plan::{Change, SwitchPlan};
use crate::settings::Settings;
use crate::state::{BootState, PresentEntry, deployment_of};
use crate::tree::ReadTree;

/// The faults of staged files. None should ever be seen: it is a defect here, or of the disk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// It cannot be read back.
    #[error("/boot/{0} {1}")]
    Unreadable(String, String),
    /// A loader would show other entries, or show them in another order.
    #[error("A boot loader would show {shown:?} and not {planned:?}")]
    Order {
        /// File names as a loader sorts them.
        shown: Vec<String>,
        /// File names as they should be.
        planned: Vec<String>,
    },
    /// Two entries that a person cannot tell apart.
    #[error("Two boot entries have the title {0:?}")]
    Title(String),
    /// A file that an entry names is not there, not whole or not a file.
    #[error("{entry} names {path}, which {problem}")]
    File {
        /// The entry's file name.
        entry: String,
        /// As the entry has it.
        path: String,
        /// The fault, for a person.
        problem: String,
    },
    /// The file in the loader's own format would not show the entries.
    #[error("Reading {file} as the boot loader {loader} does: {problem}")]
    Native {
        /// Below the new `loader.N`.
        file: String,
        /// As the configuration names it.
        loader: &'static str,
        /// The fault, for a person.
        problem: String,
    },
    /// The copy is not what was copied.
    #[error("/boot/{0} differs from its source")]
    Copy(String),
    /// The path from an entry to its deployment is broken.
    #[error("Boot link {0}: {1}")]
    Link(String, String),
}

/// Verifies a new set, by the rules of boot loaders and of the initramfs; `present` is the state before it.
pub(super) fn verify(
    plan: &SwitchPlan,
    present: &BootState,
    places: Places<'_>,
    settings: &Settings,
) -> Result<()> {
    for link in &plan.links {
        check_link(plan, link, (present, settings), places.root)?;
    }
    if plan.change != Change::Entries {
        return Ok(());
    }
    let staged = BootState::read_as_if(places, plan.to.boot_version)?;
    if let Some(bad) = staged.unreadable.first() {
        return Err(VerifyError::Unreadable(bad.path.clone(), bad.reason.clone()).into());
    }
    check_entries(plan, &staged, places.boot)?;
    for entry in &staged.entries {
        if entry.bootlink.boot_version != plan.to.boot_version || entry.deployment.is_none() {
            return Err(VerifyError::Link(entry.bootlink.to_string(), "leads nowhere".to_owned()).into());
        }
    }
    check_native(&staged, settings)?;
    plan.copy.iter().try_for_each(|copy| check_copy(copy, places))
}

/// The same for entries that are written ahead: without what is made by the switch only, which are links, files of others, and
/// what a program writes.
pub(super) fn verify_prestaged(plan: &SwitchPlan, places: Places<'_>, settings: &Settings) -> Result<()> {
    let staged = BootState::read_dir(places, PRESTAGED)?;
    if let Some(bad) = staged.unreadable.first() {
        return Err(VerifyError::Unreadable(bad.path.clone(), bad.reason.clone()).into());
    }
    check_entries(plan, &staged, places.boot)?;
    if plan.generate.is_none() {
        check_native(&staged, settings)?;
    }
    plan.copy.iter().try_for_each(|copy| check_copy(copy, places))
}

fn check_entries(plan: &SwitchPlan, staged: &BootState, boot: BorrowedFd<'_>) -> Result<()> {
    check_order(plan, staged)?;
    let mut titles = BTreeSet::new();
    for entry in &staged.entries {
        let title = entry.entry.title().unwrap_or_default();
        if !titles.insert(title) {
            return Err(VerifyError::Title(title.to_owned()).into());
        }
        check_files(plan, entry, boot)?;
    }
    Ok(())
}

/// Reads the file in the loader's own format with the loader's own rules.
fn check_native(staged: &BootState, settings: &Settings) -> Result<(), VerifyError> {
    let loader = settings.installed.loader;
    let Some(file) = loader.file() else { return Ok(()) };
    let failed = |problem| VerifyError::Native { file: file.to_owned(), loader: loader.name(), problem };
    let text = staged.foreign.iter().find(|found| found.path == file).map(|found| found.text.as_str());
    let entries: Vec<&Entry> = staged.entries.iter().map(|entry| &entry.entry).collect();
    match text {
        None => Err(failed("it is not there".to_owned())),
        Some(text) => compare(settings, text, &entries).map_err(failed),
    }
}

/// Whether it shows these entries and no other ones of ours, in this order, and boots the first of them unless somebody has chosen
/// another system.
fn compare(settings: &Settings, text: &str, entries: &[&Entry]) -> Result<(), String> {
    let shown = settings.installed.loader.parse(text);
    // An administrator who sets the prefix of paths knows a GRUB that reads a btrfs otherwise.
    let subvolume = settings.installed.subvolume.as_deref().filter(|_| settings.grub_prefix.is_none());
    let ours: Vec<&ShownEntry> = shown.entries.iter().filter(|entry| entry.is_ours()).collect();
    if ours.len() != entries.len() {
        return Err(format!("it shows {} of {} deployments", ours.len(), entries.len()));
    }
    for (shown, entry) in ours.iter().zip(entries) {
        if !shown.boots(entry, subvolume) {
            let title = entry.title().unwrap_or_default();
            return Err(format!("{:?} is not what boots {title:?}", shown.title));
        }
    }
    match shown.default.and_then(|index| shown.entries.get(index)) {
        Some(default) if default.is_ours() && ours.first() != Some(&default) => {
            Err(format!("it boots {:?}, which is not the first", default.title))
        }
        Some(_) => Ok(()),
        None => Err("it has no default".to_owned()),
    }
}

/// Follows the link as the initramfs will. A deployment that was in the menu before does not keep new ones
/// out of it, whatever has become of it.
fn check_link(
    plan: &SwitchPlan,
    link: &NewLink,
    (present, settings): (&BootState, &Settings),
    root: BorrowedFd<'_>,
) -> Result<()> {
    let path = format!("/ostree/{}/{}", plan.to.links_dir(), link.path);
    let planned = deployment_of(&link.target);
    let failed = |problem: String| VerifyError::Link(path.clone(), problem);
    match resolve_link(root, &path) {
        Ok(target) if Some(&target.deployment.path) == planned.as_ref() => Ok(()),
        Ok(target) => Err(failed(format!("leads to {}", target.deployment.path)).into()),
        Err(TargetError::Incomplete(found, _))
            if settings.incomplete_trees && planned == Some(found.clone()) =>
        {
            Ok(())
        }
        Err(problem)
            if planned.is_some() && present.entries.iter().any(|entry| entry.deployment == planned) =>
        {
            log::warn!("{problem}");
            Ok(())
        }
        Err(problem) => Err(failed(problem.to_string()).into()),
    }
}

/// Entries without tries left are sorted last by a loader, wherever they stand in the list.
fn check_order(plan: &SwitchPlan, staged: &BootState) -> Result<()> {
    let spent = |name: &bls::EntryName| name.tries.is_some_and(|tries| tries.left == 0);
    let mut entries: Vec<&PresentEntry> = staged.entries.iter().collect();
    let ours: Vec<String> = entries.iter().map(|entry| format!("entries/{}", entry.name)).collect();
    let planned: Vec<String> = plan.entries.iter().map(|file| file.path.clone()).collect();
    let texts = entries.iter().map(|entry| entry.entry.to_string());
    if ours != planned || !texts.eq(plan.entries.iter().map(|file| file.text.clone())) {
        return Err(VerifyError::Order { shown: ours, planned }.into());
    }
    entries.retain(|entry| !spent(&entry.name));
    let planned: Vec<String> = entries.iter().map(|entry| entry.name.to_string()).collect();
    bls::sort(&mut entries, |entry| (&entry.name, &entry.entry));
    let shown: Vec<String> = entries.iter().map(|entry| entry.name.to_string()).collect();
    if shown != planned {
        return Err(VerifyError::Order { shown, planned }.into());
    }
    Ok(())
}

/// Every path that the entry hands to the loader.
fn check_files(plan: &SwitchPlan, entry: &PresentEntry, boot: BorrowedFd<'_>) -> Result<()> {
    let initrds = entry.entry.initrd().into_iter().filter(|path| !path.starts_with('$'));
    let others = ["linux", "devicetree"].into_iter().flat_map(|key| entry.entry.all(key));
    for path in others.chain(initrds) {
        let failed = |problem: &str| VerifyError::File {
            entry: entry.name.to_string(),
            path: path.to_owned(),
            problem: problem.to_owned(),
        };
        // With a prefix the path begins at the root, and `/boot/boot` leads back here on a file system of its own.
        let below = path.strip_prefix("/boot/").or_else(|| path.strip_prefix('/'));
        let below = below.ok_or_else(|| failed("is not absolute"))?;
        let found = boot.file(below).with_context(|| format!("Looking at /boot/{below}"))?;
        let Some((_, there)) = found else {
            let is_there = kind(boot, below)?.is_some();
            return Err(failed(if is_there { "is no file" } else { "is not there" }).into());
        };
        let size = plan.needs.iter().find(|need| need.path == below).and_then(|need| need.size);
        if size.is_some_and(|size| there != size) {
            return Err(failed("has another size than in the deployment").into());
        }
    }
    Ok(())
}

/// A copy that is no link is compared with its source.
fn check_copy(copy: &CopyFile, places: Places<'_>) -> Result<()> {
    let open = |dir: BorrowedFd<'_>, path: &str| {
        rustix::fs::openat(dir, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .with_context(|| format!("Opening {path}"))
    };
    let (from, to) = (open(places.root, &copy.from)?, open(places.boot, &copy.to)?);
    let (from_stat, to_stat) = (rustix::fs::fstat(&from)?, rustix::fs::fstat(&to)?);
    if (from_stat.st_dev, from_stat.st_ino) == (to_stat.st_dev, to_stat.st_ino) {
        return Ok(());
    }
    let (mut left, mut right) = (vec![0; 1 << 17], vec![0; 1 << 17]);
    loop {
        let (a, b) = (fill(from.as_fd(), &mut left)?, fill(to.as_fd(), &mut right)?);
        if left.get(..a) != right.get(..b) {
            return Err(VerifyError::Copy(copy.to.clone()).into());
        }
        if a == 0 {
            return Ok(());
        }
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(file: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match rustix::io::read(file, rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(Errno::INTR) => {}
            Err(err) => return Err(err).context("Reading back"),
        }
    }
    Ok(filled)
}
