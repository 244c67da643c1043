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
use formats::Checksum;
use formats::bootlink::DeploymentPath;
use formats::object::{ObjectName, ObjectType};
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
        // Who asks for a cleanup wants the room.
        self.repo().remove_retired_tree()?;
        self.remove_unneeded(lock, &settings, true, Retire::Nothing)
    }

    /// Removes what no boot link leads to, and with `prune` objects that nothing needs. The tree of one deployment may stay for
    /// the next one to begin with.
    pub(crate) fn clean_up(&self, lock: &Lock, settings: &Settings, prune: bool) -> Result<Cleaned> {
        let retire = if self.boot_config()?.keep_retired_tree { Retire::WhatServes } else { Retire::Nothing };
        self.remove_unneeded(lock, settings, prune, retire)
    }

    #[context("Cleaning up")]
    fn remove_unneeded(
        &self,
        _lock: &Lock,
        settings: &Settings,
        prune: bool,
        retire: Retire,
    ) -> Result<Cleaned> {
        let loaded = self.look()?;
        check_whole(&loaded)?;
        fault::point("clean-up");
        let mut cleaned = Cleaned::default();
        let mut retired = None;
        for path in self.unneeded_deployments(&loaded, settings)? {
            match remove_deployment(self, &path, retire)? {
                Gone::Retired => retired = Some(path.clone()),
                Gone::Removed(left) if left.is_empty() => {}
                Gone::Removed(left) => {
                    cleaned.left.extend(left);
                    continue;
                }
            }
            cleaned.deployments.push(path);
        }
        self.update_refs(&loaded.boot.slot(), loaded.deployments.iter().map(|d| &d.path))?;
        if prune {
            fault::point("prune");
            // What is still on the disk keeps its objects, whether an entry names it or not, unless it has lost them before.
            let on_disk = self.deployments_on_disk()?.into_iter().map(|path| path.checksum);
            let keep = on_disk.filter(|commit| !self.lacks(commit)).collect();
            let options = prune::Options {
                refs_only: true,
                depth: Depth::Parents(0),
                keep,
                retired: retired.as_ref().map(|path: &DeploymentPath| path.checksum),
                ..prune::Options::default()
            };
            cleaned.pruned = Some(self.repo().prune(&options)?);
        }
        let trimmed = self.is_trimmed(&cleaned);
        if let Some(path) = retired.filter(|_| !trimmed) {
            // Something in it will not go: then it is better known as what is left of a deployment.
            let stateroot =
                directory::open(self.root(), &format!("ostree/deploy/{}/deploy", path.stateroot))?;
            self.repo().take_retired_tree(&stateroot, &path.name())?;
            if let Gone::Removed(left) = remove_deployment(self, &path, Retire::Nothing)?
                && !left.is_empty()
            {
                cleaned.left.extend(left);
                cleaned.deployments.retain(|gone| *gone != path);
            }
        }
        self.fill_reserve(&loaded);
        Ok(cleaned)
    }

    fn lacks(&self, commit: &Checksum) -> bool {
        self.repo().has_object(ObjectName::new(*commit, ObjectType::Commit)).is_ok_and(|there| !there)
    }

    /// Whether the retired tree has lost what a deployment had for itself, `/etc` for one: with the prune, or now.
    fn is_trimmed(&self, cleaned: &Cleaned) -> bool {
        match &cleaned.pruned {
            Some(report) => !report.untrimmed,
            None => {
                let trimmed = self.repo().trim_retired_tree();
                trimmed.inspect_err(|error| log::info!("{error:#}")).is_ok()
            }
        }
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
        remove_deployment(sysroot, path, Retire::Nothing)?;
    }
    Ok(())
}

/// What becomes of a tree that goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Retire {
    /// All of them are removed.
    Nothing,
    /// One is kept for the next deployment to begin with, if it serves.
    WhatServes,
}

/// What has become of a deployment.
enum Gone {
    /// Removed but for these paths, each with the reason.
    Removed(Vec<String>),
    /// Its tree is the retired one.
    Retired,
}

/// Removes a deployment: backing directory and origin first, so that what an interruption leaves is a tree that
/// the next cleanup finds.
#[context("Removing {path}")]
fn remove_deployment(sysroot: &Sysroot, path: &DeploymentPath, retire: Retire) -> Result<Gone> {
    let stateroot = format!("ostree/deploy/{}", path.stateroot);
    let mut left = Vec::new();
    for (dir, name, retire) in [
        (format!("{stateroot}/backing"), path.name(), Retire::Nothing),
        (format!("{stateroot}/deploy"), format!("{}.origin", path.name()), Retire::Nothing),
        (format!("{stateroot}/deploy"), path.name(), retire),
    ] {
        let Some(opened) = directory::find(sysroot.root(), &dir)? else { continue };
        if retire == Retire::WhatServes {
            match sysroot.repo().retire_tree(&opened, &name) {
                Ok(true) => return Ok(Gone::Retired),
                Ok(false) => {}
                Err(error) => log::info!("{error:#}; it is removed"),
            }
        }
        let removal = durable::remove_tree(opened.as_fd(), &name)?;
        left.extend(removal.left.iter().map(|(path, why)| format!("{dir}/{}: {why}", path.display())));
    }
    Ok(Gone::Removed(left))
}
