// SPDX-License-Identifier: MIT OR Apache-2.0
//! Removing what neither a boot entry nor the record of a staged deployment names: deployments, their refs, and objects that nothing needs.
//!
//! A deployment goes only when no boot link leads to it any more. Links of the former set stay for as long as a
//! boot loader may still see its entries, and so do their deployments; the running system never goes.

use std::os::fd::AsFd;

use anyhow::{Context, Result, ensure};
use bootloader::Settings;
use durable::fault;
use fn_error_context::context;
use formats::Checksum;
use formats::bootlink::DeploymentPath;
use formats::object::{ObjectName, ObjectType};
use repo::{Depth, prune};
use rustix::fs::AtFlags;
use rustix::io::Errno;
use sysroot::running::{deployments_in, running_deployment};
use sysroot::{Loaded, Sysroot, directory};

use crate::refs::RefPlan;

/// The checkout cache, from the physical root.
pub(crate) const CACHE: &str = "/ostree/repo/tmp/retired-tree";

/// The deployments, files and objects that a cleanup has removed.
#[derive(Debug, Default)]
pub struct Cleaned {
    /// Deployments that are gone.
    pub deployments: Vec<DeploymentPath>,
    /// Paths that could not be removed, and why.
    pub left: Vec<String>,
    /// Why a boot loader may still see the former entries, if so: nothing that these need is gone. Told by a cleanup alone; who
    /// switches has a proof of his own.
    pub unproven: Option<String>,
    /// The objects that a prune of the repository has freed, where there was one.
    pub pruned: Option<prune::Report>,
}

/// The refs of the deployments as they are now.
pub(crate) fn plan_refs(sysroot: &Sysroot, loaded: &Loaded) -> Result<RefPlan> {
    let deployments = loaded.deployments.iter().map(|d| &d.path);
    Ok(RefPlan::new(sysroot.deployment_refs()?, &loaded.boot.slot(), deployments))
}

fn lacks(sysroot: &Sysroot, commit: &Checksum) -> bool {
    sysroot.repo().has_object(ObjectName::new(*commit, ObjectType::Commit)).is_ok_and(|there| !there)
}

/// Removes objects that nothing needs, and the links of them in the tree that was just `retired`.
pub(crate) fn prune_objects(sysroot: &Sysroot, retired: Option<&DeploymentPath>) -> Result<prune::Report> {
    fault::point("prune");
    // A deployment on the disk keeps its objects, whether an entry names it or not, unless it has lost them before.
    let on_disk = deployments_in(sysroot.root())?.into_iter().map(|path| path.checksum);
    let keep = on_disk.filter(|commit| !lacks(sysroot, commit)).collect();
    sysroot.repo().prune(&prune::Options {
        refs_only: true,
        depth: Depth::Parents(0),
        keep,
        cached_checkout: retired.map(|path| path.checksum),
        ..prune::Options::default()
    })
}

/// Something in the checkout cache will not go. If it is that of a deployment that has just gone, it is better known as what is left of
/// that.
pub(crate) fn give_up_retired(
    sysroot: &Sysroot,
    retired: Option<DeploymentPath>,
    cleaned: &mut Cleaned,
) -> Result<()> {
    let Some(path) = retired else {
        sysroot.repo().remove_checkout_cache().unwrap_or_else(|error| log::warn!("{error:#}"));
        return Ok(());
    };
    let dir = directory::open(sysroot.root(), &format!("ostree/deploy/{}/deploy", path.stateroot))?;
    sysroot.repo().take_cached_checkout(&dir, &path.name())?;
    if let Gone::Removed(left) = remove_deployment(sysroot, &path, Retire::Nothing)?
        && !left.is_empty()
    {
        cleaned.left.extend(left);
        cleaned.deployments.retain(|gone| *gone != path);
    }
    Ok(())
}

/// Deployments that neither a boot link nor the record of the staged one leads to; never the running system.
pub(crate) fn unneeded_deployments(
    sysroot: &Sysroot,
    loaded: &Loaded,
    settings: &Settings,
) -> Result<Vec<DeploymentPath>> {
    let needed = needed_deployments(sysroot, loaded, settings)?;
    Ok(deployments_in(sysroot.root())?.into_iter().filter(|path| !needed.contains(path)).collect())
}

/// Deployments that a boot link or a record of the staged one leads to, and the running system.
pub(crate) fn needed_deployments(
    sysroot: &Sysroot,
    loaded: &Loaded,
    settings: &Settings,
) -> Result<Vec<DeploymentPath>> {
    let mut needed: Vec<_> =
        bootloader::linked_in(&loaded.boot, sysroot.places(), settings)?.into_iter().collect();
    needed.extend(loaded.staged.as_ref().map(|staged| staged.target.path.clone()));
    needed.extend(loaded.persistent.as_ref().map(|kept| kept.staged.target.path.clone()));
    for path in deployments_in(sysroot.root())? {
        if is_running(sysroot, &path)? {
            needed.push(path);
        }
    }
    Ok(needed)
}

fn is_running(sysroot: &Sysroot, path: &DeploymentPath) -> Result<bool> {
    let Some(running) = running_deployment()? else { return Ok(false) };
    match rustix::fs::statat(sysroot.root(), path.to_string(), AtFlags::empty()) {
        Ok(stat) => Ok((stat.st_dev, stat.st_ino) == running),
        Err(Errno::NOENT) => Ok(false),
        // A deployment that cannot be looked at may be the running one.
        Err(error) => Err(error).with_context(|| format!("Reading {path}")),
    }
}

/// Refuses to remove anything by a boot menu that is not the whole truth: what cannot be found now would count as what
/// nothing leads to.
pub(crate) fn check_whole(loaded: &Loaded) -> Result<()> {
    loaded.boot.check()?;
    // The running system had an entry when it was started. If that is gone, others may be missed as well.
    ensure!(
        !loaded.is_running_system || loaded.deployments.iter().any(|d| d.booted && !d.unlisted),
        "The running system is not in the boot menu, so others may be missing there as well, and nothing is removed: \
         `ostree admin set-default 0` gives it an entry"
    );
    Ok(())
}

/// Removes a deployment unless a boot link leads to it.
pub(crate) fn remove_unlinked(sysroot: &Sysroot, path: &DeploymentPath, settings: &Settings) -> Result<bool> {
    let is_unlinked = !bootloader::linked_deployments(sysroot.places(), settings)?.contains(path);
    if is_unlinked {
        remove_deployment(sysroot, path, Retire::Nothing)?;
    }
    Ok(is_unlinked)
}

/// The use of the trees of deployments that go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retire {
    /// All of them are removed.
    Nothing,
    /// One is kept for the next deployment to begin with, if it serves.
    WhatServes,
}

/// The result of removing a deployment.
pub(crate) enum Gone {
    /// Removed but for these paths, each with the reason.
    Removed(Vec<String>),
    /// Its tree is the retired one.
    Retired,
}

/// Removes a deployment: backing directory and origin first, so that what an interruption leaves is a tree that
/// the next cleanup finds.
#[context("Removing {path}")]
pub(crate) fn remove_deployment(sysroot: &Sysroot, path: &DeploymentPath, retire: Retire) -> Result<Gone> {
    let stateroot = format!("ostree/deploy/{}", path.stateroot);
    let mut left = Vec::new();
    for (dir, name, retire) in [
        (format!("{stateroot}/backing"), path.name(), Retire::Nothing),
        (format!("{stateroot}/deploy"), format!("{}.origin", path.name()), Retire::Nothing),
        (format!("{stateroot}/deploy"), path.name(), retire),
    ] {
        let Some(opened) = directory::find(sysroot.root(), &dir)? else { continue };
        if retire == Retire::WhatServes {
            match sysroot.repo().cache_checkout(&opened, &name) {
                Ok(true) => return Ok(Gone::Retired),
                Ok(false) => {}
                Err(error) => log::info!("{error:#}; it is removed"),
            }
        }
        let removal = durable::remove_tree(opened.as_fd(), &name)?;
        left.extend(removal.failed.iter().map(|(path, why)| format!("{dir}/{}: {why}", path.display())));
    }
    Ok(Gone::Removed(left))
}
