// SPDX-License-Identifier: MIT OR Apache-2.0
//! From deployments to what the boot menu needs to know of them.

use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context, Result, ensure};
use bootloader::{BootEntry, PresentEntry, ReadTree};
use formats::Checksum;
use formats::bootlink::DeploymentPath;
use formats::kernel_args::KernelArgs;
use formats::os_release::OsRelease;
use sysroot::commit_tree::CommitTree;
use sysroot::directory::{self, read_text};
use sysroot::{Deployment, Loaded, Sysroot};

use crate::overlay_initrds::{self, OverlayInitrd};

/// One place of a new menu.
#[derive(Debug, Clone)]
pub enum Item {
    /// A deployment that is there, by its place in the old menu.
    Old {
        /// Counted from 0, the default.
        index: usize,
        /// Its kernel arguments, where they change.
        kernel_args: Option<KernelArgs>,
    },
    /// The one that is being made.
    New(Box<NewDeployment>),
}

/// A deployment that is not in the menu yet.
#[derive(Debug, Clone)]
pub struct NewDeployment {
    /// Where it is.
    pub path: DeploymentPath,
    /// The deployment whose entry's keys of other tools are taken over.
    pub merge: Option<DeploymentPath>,
    /// Its kernel arguments, before `ostree=` is set.
    pub kernel_args: KernelArgs,
    /// The version that its commit states.
    pub version: Option<String>,
    /// Its boot checksum, where that was recorded.
    pub boot_checksum: Option<Checksum>,
    /// More initrds in `/boot/ostree/initramfs-overlays`.
    pub overlay_initrds: Vec<Checksum>,
    /// Those of them that are not put where they wait yet.
    pub initrd_files: Vec<OverlayInitrd>,
    /// Keys of other tools, in place of those that it takes over.
    pub extra: Vec<(String, String)>,
    /// Whether the device trees of its tree do not count, by the option that it was made with.
    pub no_device_trees: bool,
}

impl Item {
    /// A deployment that stays as it is.
    pub fn old(index: usize) -> Self {
        Self::Old { index, kernel_args: None }
    }

    /// Where its deployment is, or will be.
    pub fn path<'a>(&'a self, loaded: &'a Loaded) -> Option<&'a DeploymentPath> {
        match self {
            Self::Old { index, .. } => loaded.deployments.get(*index).map(|d| &d.path),
            Self::New(new) => Some(&new.path),
        }
    }
}

/// The boot entries of a new menu, the default first.
pub fn compose(sysroot: &Sysroot, loaded: &Loaded, items: &[Item]) -> Result<Vec<BootEntry>> {
    let entry = |item: &Item| match item {
        Item::New(deployment) => new(sysroot, loaded, deployment),
        Item::Old { index, kernel_args } => {
            let old = loaded.deployments.get(*index).context("A deployment has gone from the list")?;
            present(sysroot, loaded, old, kernel_args.clone())
        }
    };
    items.iter().map(entry).collect()
}

/// The entry of the new deployment. Keys of other tools follow the configuration that it takes over.
fn new(sysroot: &Sysroot, loaded: &Loaded, deployment: &NewDeployment) -> Result<BootEntry> {
    let NewDeployment { path, merge, kernel_args, version, boot_checksum, overlay_initrds, .. } = deployment;
    let NewDeployment { initrd_files, extra, no_device_trees, .. } = deployment;
    // Planned before it is checked out, and switched to after that.
    let source = match directory::find(sysroot.root(), &path.to_string())? {
        Some(tree) => Source::Deployed(tree),
        None => Source::Commit(CommitTree::open(sysroot.repo(), &path.checksum)?),
    };
    let mut entry = read_tree(sysroot, &source, path, kernel_args.clone(), version.clone(), *boot_checksum)?;
    if *no_device_trees {
        entry.files.drop_device_trees();
    }
    let merge = merge.as_ref().and_then(|path| entry_of(loaded, path));
    entry.carried = merge.map(PresentEntry::carried).unwrap_or_default();
    keep_other_initrds(sysroot, &mut entry, merge);
    entry.carried.retain(|(key, _)| extra.iter().all(|(other, _)| other != key));
    entry.carried.extend(extra.iter().cloned());
    ensure!(
        overlay_initrds.is_empty() || entry.files.initramfs().is_some(),
        "The tree has no initramfs, so no other initrd can be loaded after it"
    );
    entry.new_initrds = overlay_initrds::waiting(overlay_initrds, initrd_files)?;
    entry.overlay_initrds.clone_from(overlay_initrds);
    let compared = entry.compare(&*source.tree(), sysroot.places().boot);
    compared.context("Comparing the boot files with those that are in /boot")?;
    entry.tries = sysroot.boot_config()?.new_tries();
    Ok(entry)
}

/// The entry of a deployment that stays: its arguments unless they are to change, and whatever other tools have put there, stay too.
fn present(
    sysroot: &Sysroot,
    loaded: &Loaded,
    old: &Deployment,
    kernel_args: Option<KernelArgs>,
) -> Result<BootEntry> {
    let options = kernel_args.unwrap_or_else(|| old.kernel_args());
    let source = Source::Deployed(directory::open(sysroot.root(), &old.path.to_string())?);
    let version = sysroot.version_of(&old.path);
    let mut entry = read_tree(sysroot, &source, &old.path, options, version, Some(old.boot_checksum))?;
    if let Some(there) = entry_of(loaded, &old.path) {
        entry.carried = there.carried();
        entry.overlay_initrds = there.overlay_initrds();
        entry.tries = there.name.tries;
        keep_other_initrds(sysroot, &mut entry, Some(there));
    }
    Ok(entry)
}

/// Takes over initrds of others, but for those that are not there: with them the entry could not be booted. A link inside of `/boot` is
/// followed, as boot loaders do.
fn keep_other_initrds(sysroot: &Sysroot, entry: &mut BootEntry, from: Option<&PresentEntry>) {
    let boot = sysroot.places().boot;
    for other in from.map(PresentEntry::other_initrds).unwrap_or_default() {
        let is_file = |below: &str| boot.file(below).is_ok_and(|found| found.is_some());
        if other.below_boot().is_none_or(is_file) {
            entry.other_initrds.push(other);
        } else {
            entry.lost_initrds.push(other.path);
        }
    }
}

fn entry_of<'a>(loaded: &'a Loaded, path: &DeploymentPath) -> Option<&'a PresentEntry> {
    loaded.boot.entries.iter().find(|entry| entry.deployment.as_ref() == Some(path))
}

/// A tree that is there, or only to be made.
enum Source<'a> {
    Deployed(OwnedFd),
    Commit(CommitTree<'a>),
}

impl Source<'_> {
    fn tree(&self) -> Box<dyn ReadTree + '_> {
        match self {
            Self::Deployed(tree) => Box::new(tree.as_fd()),
            Self::Commit(tree) => Box::new(tree),
        }
    }

    fn read_text(&self, path: &str) -> Result<Option<String>> {
        match self {
            Self::Deployed(tree) => read_text(tree.as_fd(), path),
            Self::Commit(tree) => tree.read_text(path),
        }
    }
}

/// Reads what the tree says of itself. A boot checksum that was recorded is trusted: another version may have
/// computed it by another rule, and the files are there under its name (ostree#2154).
fn read_tree(
    sysroot: &Sysroot,
    source: &Source<'_>,
    path: &DeploymentPath,
    options: KernelArgs,
    version: Option<String>,
    recorded: Option<Checksum>,
) -> Result<BootEntry> {
    let files =
        sysroot.kernel_files(&*source.tree()).with_context(|| format!("Looking for the kernel of {path}"))?;
    let boot_checksum = match recorded {
        Some(checksum) => checksum,
        None => files.boot_checksum(&*source.tree())?,
    };
    Ok(BootEntry {
        deployment: path.clone(),
        boot_checksum,
        files,
        os_name: os_release(source).pretty_name().to_owned(),
        version,
        options,
        overlay_initrds: Vec::new(),
        new_initrds: Vec::new(),
        other_initrds: Vec::new(),
        lost_initrds: Vec::new(),
        torn: Vec::new(),
        carried: Vec::new(),
        tries: None,
        environment: source.read_text("usr/lib/ostree-boot/uEnv.txt")?,
    })
}

/// `os-release` of a tree; empty where there is none, for a title is no reason to refuse.
fn os_release(source: &Source<'_>) -> OsRelease {
    // A commit's /etc is still in usr/etc.
    let places = ["usr/lib/os-release", "etc/os-release", "usr/etc/os-release"];
    let text = places.iter().find_map(|path| source.read_text(path).ok().flatten());
    OsRelease::parse(&text.unwrap_or_default())
}
