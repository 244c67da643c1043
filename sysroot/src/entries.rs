// SPDX-License-Identifier: MIT OR Apache-2.0
//! From deployments to what the boot menu needs to know of them.

use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context, Result, ensure};
use bootloader::{BootEntry, KernelFiles, PresentEntry, ReadTree};
use formats::Checksum;
use formats::bootlink::DeploymentPath;
use formats::kernel_args::KernelArgs;
use formats::os_release::OsRelease;

use crate::Sysroot;
use crate::commit_tree::CommitTree;
use crate::deployment::Deployment;
use crate::directory;
use crate::load::Loaded;
use crate::overlay_initrds::{self, OverlayInitrd};
use crate::preflight::read_text;

/// One place of a new menu.
#[derive(Debug, Clone)]
pub(crate) enum Item {
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
pub(crate) struct NewDeployment {
    /// Where it is.
    pub(crate) path: DeploymentPath,
    /// Whose keys of other tools its entry takes over.
    pub(crate) merge: Option<DeploymentPath>,
    /// Its kernel arguments, before `ostree=` is set.
    pub(crate) kernel_args: KernelArgs,
    /// The version that its commit states.
    pub(crate) version: Option<String>,
    /// Its boot checksum, where that was recorded.
    pub(crate) boot_checksum: Option<Checksum>,
    /// More initrds in `/boot/ostree/initramfs-overlays`.
    pub(crate) overlay_initrds: Vec<Checksum>,
    /// Those of them that are not put where they wait yet.
    pub(crate) initrd_files: Vec<OverlayInitrd>,
    /// Keys of other tools, in place of those that it takes over.
    pub(crate) extra: Vec<(String, String)>,
}

impl Item {
    /// A deployment that stays as it is.
    pub(crate) fn old(index: usize) -> Self {
        Self::Old { index, kernel_args: None }
    }
}

/// The boot entries of a new menu, the default first.
pub(crate) fn compose(sysroot: &Sysroot, loaded: &Loaded, items: &[Item]) -> Result<Vec<BootEntry>> {
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
    let NewDeployment { initrd_files, extra, .. } = deployment;
    // Planned before it is checked out, and switched to after that.
    let source = match directory::find(sysroot.root(), &path.to_string())? {
        Some(tree) => Source::Deployed(tree),
        None => Source::Commit(CommitTree::open(sysroot.repo(), &path.checksum)?),
    };
    let mut entry = read_tree(&source, path, kernel_args.clone(), version.clone(), *boot_checksum)?;
    let merge = merge.as_ref().and_then(|path| entry_of(loaded, path));
    entry.carried = merge.map(PresentEntry::carried).unwrap_or_default();
    entry.carried.retain(|(key, _)| extra.iter().all(|(other, _)| other != key));
    entry.carried.extend(extra.iter().cloned());
    ensure!(
        overlay_initrds.is_empty() || entry.files.initramfs().is_some(),
        "The tree has no initramfs, so no other initrd can be loaded after it"
    );
    entry.new_initrds = overlay_initrds::waiting(overlay_initrds, initrd_files)?;
    entry.overlay_initrds.clone_from(overlay_initrds);
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
    let mut entry = read_tree(&source, &old.path, options, version, Some(old.boot_checksum))?;
    if let Some(there) = entry_of(loaded, &old.path) {
        entry.carried = there.carried();
        entry.overlay_initrds = there.overlay_initrds();
        entry.tries = there.name.tries;
    }
    Ok(entry)
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
    source: &Source<'_>,
    path: &DeploymentPath,
    options: KernelArgs,
    version: Option<String>,
    recorded: Option<Checksum>,
) -> Result<BootEntry> {
    let files =
        KernelFiles::find(&*source.tree()).with_context(|| format!("Looking for the kernel of {path}"))?;
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
