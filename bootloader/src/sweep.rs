// SPDX-License-Identifier: MIT OR Apache-2.0
//! What may go: neither named by an entry that a boot loader can see nor used by the running system.

use std::collections::BTreeSet;
use std::os::fd::AsFd;

use anyhow::Result;
use durable::{Proof, fault};
use formats::Checksum;
use formats::bootlink::DeploymentPath;

use crate::apply::{Pending, check_place, left_behind, rehearse};
use crate::former::{Record, ostree, prove_former};
use crate::plan::{Settings, Slot};
use crate::state::read::{deployment_of, open_dir, read_bootlinks};
use crate::state::{BootState, Places};
use crate::steady::steady;

/// What a sweep has done.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Paths that are gone, from the root.
    pub removed: Vec<String>,
    /// Paths that are not, and why.
    pub left: Vec<String>,
}

/// The paths that go when `to` is chosen and its entries have these texts; from the root, sorted.
pub(crate) fn list(state: &BootState, to: Slot, entries: &[String], settings: &Settings) -> Vec<String> {
    let mut paths = Vec::new();
    for name in &state.loader_names {
        let waits = name == rehearse::DIR && !settings.awaited.is_empty();
        if *name != to.loader_dir() && !waits {
            paths.push(format!("/boot/{name}"));
        }
    }
    let running = settings.running.as_ref().map(|link| Slot {
        boot_version: link.boot_version,
        sub_boot_version: state.sub_boot_version_of(link.boot_version),
    });
    for name in &state.bootlink_names {
        let kept = |slot: &Slot| *name == slot.link() || *name == slot.links_dir();
        if !kept(&to) && !running.as_ref().is_some_and(kept) {
            paths.push(format!("/ostree/{name}"));
        }
    }
    paths.extend(boot_files(state, entries, settings));
    paths.sort();
    paths
}

/// Directories and overlay initrds in `/boot/ostree` that no text names. Entries that are damaged keep what
/// they name, as far as they can be read; one that cannot be read at all keeps everything.
fn boot_files(state: &BootState, entries: &[String], settings: &Settings) -> Vec<String> {
    if state.unreadable.iter().any(|entry| entry.text.is_empty()) {
        return Vec::new();
    }
    let others = state.foreign.iter().map(|file| &file.text);
    let texts: Vec<&String> =
        entries.iter().chain(others).chain(state.unreadable.iter().map(|e| &e.text)).collect();
    let running = settings.running.as_ref().map(|link| format!("{}-{}", link.stateroot, link.boot_checksum));
    // By a path of a boot file, or by the `ostree=` of an entry whose other lines are damaged.
    let is_named = |name: &str| {
        if settings.awaited.iter().any(|awaited| awaited == name) {
            return true;
        }
        let in_link = name.rsplit_once('-').map(|(stateroot, checksum)| format!("/{stateroot}/{checksum}/"));
        texts
            .iter()
            .any(|text| text.contains(name) || in_link.as_ref().is_some_and(|link| text.contains(link)))
    };
    // What runs always has an entry. If it has none, the entries that were read are not the whole truth.
    if running.as_deref().is_some_and(|running| !is_named(running)) {
        return Vec::new();
    }
    let mut paths = Vec::new();
    for (dir, files) in &state.boot_dirs {
        if is_boot_dir(dir) && !is_named(dir) {
            paths.push(format!("/boot/ostree/{dir}"));
        } else if dir == "initramfs-overlays" {
            let unnamed = files.keys().filter(|name| !is_named(name));
            paths.extend(unnamed.map(|name| format!("/boot/ostree/{dir}/{name}")));
        }
    }
    paths
}

/// `STATEROOT-BOOTCHECKSUM`, with `.tmp` while it is made; other names are none of ours.
fn is_boot_dir(name: &str) -> bool {
    let name = name.strip_suffix(".tmp").unwrap_or(name);
    name.rsplit_once('-').is_some_and(|(_, checksum)| checksum.parse::<Checksum>().is_ok())
}

/// What the entries that are chosen now do not need: paths from the root, sorted. None where there are no entries.
pub fn leftovers(state: &BootState, settings: &Settings) -> Vec<String> {
    if state.entries.is_empty() {
        return Vec::new();
    }
    let texts: Vec<String> = state.entries.iter().map(|entry| entry.entry.to_string()).collect();
    list(state, state.slot(), &texts, settings)
}

/// Removes what the entries that are chosen now do not need, if a boot loader can see no others.
///
/// This is what is left of a switch that could not be proven, and of one that was interrupted. Does nothing while
/// it is unproven.
#[fn_error_context::context("Sweeping /boot")]
pub fn sweep(places: Places<'_>, settings: &Settings) -> Result<(Proof, Swept)> {
    check_place(places, settings)?;
    let state = BootState::read(places)?;
    let proof = prove_former(places, &state, settings)?;
    if let Some(pending) = Pending::finish(places, &state, settings)? {
        log::warn!("The boot loader still boots from the old entries, which stay: {}", pending.reason);
        return Ok((proof, Swept::default()));
    }
    let swept = sweep_proven(places, &state, &proof, settings)?;
    Ok((proof, swept))
}

/// As [`sweep`], for a proof that was just made.
pub(crate) fn sweep_proven(
    places: Places<'_>,
    state: &BootState,
    proof: &Proof,
    settings: &Settings,
) -> Result<Swept> {
    let mut swept = Swept::default();
    if !(proof.is_proven() || settings.offline) || state.check().is_err() {
        return Ok(swept);
    }
    if state.record.is_some() {
        Record::remove(places.root)?;
    }
    let leftovers = leftovers(state, settings);
    if leftovers.iter().any(|path| path.starts_with("/boot/ostree/")) {
        steady(places.boot, settings.freezing)?;
    }
    for path in leftovers {
        fault::point("sweep");
        remove(places, &path, &mut swept)?;
    }
    let left = left_behind(places, &settings.installed)?;
    // A boot loader that has not seen the exchange of its first file reads what was put aside.
    if !left.is_empty() && (settings.offline || durable::prove(places.boot, settings.freezing)?.is_proven()) {
        left.iter().try_for_each(|path| remove(places, path, &mut swept))?;
    }
    Ok(swept)
}

/// The deployments that some entry which a boot loader can see leads to, and the running one: none of them may be
/// removed.
///
/// Links count as long as there is a `loader.N` with entries for them, which is until a switch is proven and
/// swept.
pub fn linked_deployments(places: Places<'_>, settings: &Settings) -> Result<BTreeSet<DeploymentPath>> {
    let state = BootState::read(places)?;
    let ostree = ostree(places.root)?;
    let mut deployments: BTreeSet<_> =
        state.entries.iter().filter_map(|entry| entry.deployment.clone()).collect();
    for boot_version in [0, 1] {
        let running = settings.running.as_ref().filter(|link| link.boot_version == boot_version);
        let visible = state.loader_names.contains(&format!("loader.{boot_version}"));
        for sub_boot_version in [0, 1] {
            let slot = Slot { boot_version, sub_boot_version };
            let Some(dir) = open_dir(&ostree, &slot.links_dir())? else { continue };
            for (path, target) in read_bootlinks(&dir)? {
                let is_running = running.is_some_and(|link| link.to_string().ends_with(&format!("/{path}")));
                if visible || is_running {
                    deployments.extend(deployment_of(&target));
                }
            }
        }
    }
    Ok(deployments)
}

/// Removes a path that [`list`] has named.
pub(crate) fn remove(places: Places<'_>, path: &str, swept: &mut Swept) -> Result<()> {
    let Some((dir, name)) = path.rsplit_once('/') else { return Ok(()) };
    let opened = match dir.strip_prefix("/boot") {
        Some(below) => open_dir(places.boot, below.strip_prefix('/').unwrap_or("."))?,
        None => Some(ostree(places.root)?),
    };
    let Some(opened) = opened else { return Ok(()) };
    let removal = durable::remove_tree(opened.as_fd(), name)?;
    if removal.is_complete() {
        swept.removed.push(path.to_owned());
    }
    for (left, errno) in &removal.left {
        swept.left.push(format!("{dir}/{}: {errno}", left.display()));
    }
    Ok(())
}
