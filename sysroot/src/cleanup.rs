// SPDX-License-Identifier: MIT OR Apache-2.0
//! Removing what neither a boot entry nor the record of a staged deployment names: deployments, their refs, and objects that nothing needs.
//!
//! A deployment goes only when no boot link leads to it any more. Links of the former set stay for as long as a
//! boot loader may still see its entries, and so do their deployments; the running system never goes.

use std::collections::BTreeSet;
use std::os::fd::AsFd;

use anyhow::{Context, Result, ensure};
use bootloader::Settings;
use durable::fault;
use fn_error_context::context;
use formats::bootlink::DeploymentPath;
use repo::{Depth, prune};
use rustix::fs::AtFlags;
use rustix::io::Errno;

use crate::directory;
use crate::load::{Loaded, running_deployment};
use crate::lock::Lock;
use crate::sysroot::Sysroot;

/// Where refs of deployments are, so that a prune by hand spares them: `ostree/N/M/INDEX`.
const REFS: &str = "ostree/";

/// What a cleanup has removed.
#[derive(Debug, Default)]
pub struct Cleaned {
    /// Deployments that are gone.
    pub deployments: Vec<DeploymentPath>,
    /// Paths that could not be removed, and why.
    pub left: Vec<String>,
    /// What the repository freed, where it was pruned.
    pub pruned: Option<prune::Report>,
}

impl Sysroot {
    /// Removes what an interruption has left, what no boot link leads to, and objects that nothing needs.
    pub fn cleanup(&self, lock: &Lock) -> Result<Cleaned> {
        self.release_reserve();
        let loaded = self.load()?;
        check_whole(&loaded).context("Cleaning up")?;
        let settings = self.boot_settings(&loaded)?;
        bootloader::sweep(self.places(), &settings)?;
        self.clean_up(lock, &settings, true)
    }

    /// Removes what no boot link leads to, and with `prune` objects that nothing needs.
    #[context("Cleaning up")]
    pub(crate) fn clean_up(&self, _lock: &Lock, settings: &Settings, prune: bool) -> Result<Cleaned> {
        let loaded = self.look()?;
        check_whole(&loaded)?;
        fault::point("clean-up");
        let mut cleaned = Cleaned::default();
        for path in self.unneeded_deployments(&loaded, settings)? {
            match remove_deployment(self, &path)? {
                left if left.is_empty() => cleaned.deployments.push(path),
                left => cleaned.left.extend(left),
            }
        }
        self.update_refs(&loaded.boot.slot(), loaded.deployments.iter().map(|d| &d.path))?;
        if prune {
            fault::point("prune");
            // What is still on the disk keeps its objects, whether an entry names it or not.
            let keep = self.deployments_on_disk()?.into_iter().map(|path| path.checksum).collect();
            let options = prune::Options {
                refs_only: true,
                depth: Depth::Parents(0),
                keep,
                ..prune::Options::default()
            };
            cleaned.pruned = Some(self.repo().prune(&options)?);
        }
        self.fill_reserve(&loaded);
        Ok(cleaned)
    }

    /// Deployments that neither a boot link nor the record of the staged one leads to; never the running system.
    pub(crate) fn unneeded_deployments(
        &self,
        loaded: &Loaded,
        settings: &Settings,
    ) -> Result<Vec<DeploymentPath>> {
        let mut linked = bootloader::linked_deployments(self.places(), settings)?;
        linked.extend(loaded.staged.as_ref().map(|staged| staged.target.path.clone()));
        linked.extend(loaded.kept.as_ref().map(|kept| kept.staged.target.path.clone()));
        let mut unneeded = Vec::new();
        for path in self.deployments_on_disk()? {
            if !linked.contains(&path) && !self.is_running(&path)? {
                unneeded.push(path);
            }
        }
        Ok(unneeded)
    }

    /// Every deployment directory, named by an entry or not; also what releases that know no backing directories have left of
    /// one.
    pub(crate) fn deployments_on_disk(&self) -> Result<Vec<DeploymentPath>> {
        let mut found = Vec::new();
        for stateroot in self.names("ostree/deploy")? {
            for folder in ["deploy", "backing"] {
                for name in self.names(&format!("ostree/deploy/{stateroot}/{folder}"))? {
                    let name = name.strip_suffix(".origin").unwrap_or(&name);
                    found.extend(DeploymentPath::from_name(&stateroot, name));
                }
            }
        }
        found.sort();
        found.dedup();
        Ok(found)
    }

    /// The names in a directory that are text; none where there is no directory.
    fn names(&self, path: &str) -> Result<Vec<String>> {
        let Some(dir) = directory::find(self.root(), path)? else { return Ok(Vec::new()) };
        directory::names(dir).with_context(|| format!("Reading {path}"))
    }

    fn is_running(&self, path: &DeploymentPath) -> Result<bool> {
        let Some(running) = running_deployment()? else { return Ok(false) };
        match rustix::fs::statat(self.root(), path.to_string(), AtFlags::empty()) {
            Ok(stat) => Ok((stat.st_dev, stat.st_ino) == running),
            Err(Errno::NOENT) => Ok(false),
            // What cannot be looked at may be what runs.
            Err(error) => Err(error).with_context(|| format!("Reading {path}")),
        }
    }

    /// Makes a ref for each deployment; new ones before the old ones go, so that a prune always spares them.
    fn update_refs<'a>(
        &self,
        slot: &bootloader::Slot,
        deployments: impl Iterator<Item = &'a DeploymentPath>,
    ) -> Result<()> {
        let mut wanted = BTreeSet::new();
        for (index, path) in deployments.enumerate() {
            let name = ref_name(slot, index);
            self.repo().set_ref(&name.parse()?, &path.checksum)?;
            wanted.insert(name);
        }
        for (refspec, _) in self.repo().list_refs(None)? {
            let name = refspec.to_string();
            if name.starts_with(REFS) && !wanted.contains(&name) {
                self.repo().delete_ref(&refspec)?;
            }
        }
        Ok(())
    }
}

/// The name of the ref of a deployment in the menu.
pub(crate) fn ref_name(slot: &bootloader::Slot, index: usize) -> String {
    format!("{REFS}{}/{}/{index}", slot.boot_version, slot.sub_boot_version)
}

/// Refuses to remove anything by a boot menu that is not the whole truth: what cannot be found now would count as what
/// nothing leads to.
pub(crate) fn check_whole(loaded: &Loaded) -> Result<()> {
    loaded.boot.check()?;
    // What runs had an entry when it was started. If that is gone, others may be missed as well.
    ensure!(
        !loaded.is_running_system || loaded.deployments.iter().any(|d| d.booted && !d.unlisted),
        "The running system is not in the boot menu, so others may be missing there as well, and nothing is removed: \
         `ostree admin set-default 0` gives it an entry"
    );
    Ok(())
}

/// Removes a deployment unless a boot link leads to it.
pub(crate) fn remove_unlinked(sysroot: &Sysroot, path: &DeploymentPath, settings: &Settings) -> Result<()> {
    if !bootloader::linked_deployments(sysroot.places(), settings)?.contains(path) {
        remove_deployment(sysroot, path)?;
    }
    Ok(())
}

/// Removes a deployment: backing directory and origin first, so that what an interruption leaves is a tree that
/// the next cleanup finds. Gives what could not be removed.
#[context("Removing {path}")]
fn remove_deployment(sysroot: &Sysroot, path: &DeploymentPath) -> Result<Vec<String>> {
    let stateroot = format!("ostree/deploy/{}", path.stateroot);
    let mut left = Vec::new();
    for (dir, name) in [
        (format!("{stateroot}/backing"), path.name()),
        (format!("{stateroot}/deploy"), format!("{}.origin", path.name())),
        (format!("{stateroot}/deploy"), path.name()),
    ] {
        let Some(opened) = directory::find(sysroot.root(), &dir)? else { continue };
        let removal = durable::remove_tree(opened.as_fd(), &name)?;
        left.extend(removal.left.iter().map(|(path, why)| format!("{dir}/{}: {why}", path.display())));
    }
    Ok(left)
}
