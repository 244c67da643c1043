// SPDX-License-Identifier: MIT OR Apache-2.0
//! Looking at a system as its boot loader does: what it would show, what it would boot, and what is wrong with that.

use std::collections::BTreeSet;

use anyhow::Result;
use formats::bls::{self, Entry, EntryName};
use formats::bootlink::DeploymentPath;
use formats::kernel_args::KernelArgs;
use prepare_root::resolve::resolve;
use rustix::fs::AtFlags;
use serde::Serialize;

use super::{Reads, Shown, ShownEntry};
use crate::apply::Pending;
use crate::plan::Settings;
use crate::state::{BootState, Places};

/// What a boot loader makes of a system.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// Its name in the configuration.
    pub loader: &'static str,
    /// What says that it is this one.
    pub because: String,
    /// The file that it reads first, from the root; `None` where that is in the chosen set.
    pub first_file: Option<String>,
    /// What that leads to.
    pub reads: Reads,
    /// Which of the two sets is chosen, if any: N of `loader.N`.
    pub chosen: Option<u8>,
    /// What it shows, in its order.
    pub entries: Vec<ReportedEntry>,
    /// What has to be done before it boots from the chosen set.
    pub unfinished: Option<String>,
    /// What is wrong.
    pub problems: Vec<String>,
}

/// An entry of its menu.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ReportedEntry {
    /// What it boots.
    #[serde(flatten)]
    pub shown: ShownEntry,
    /// Whether it is booted if nobody chooses.
    pub default: bool,
    /// The deployment that it leads to; `None` for those of others, and where it leads nowhere.
    pub deployment: Option<String>,
}

/// Reads a system as its boot loader does.
#[fn_error_context::context("Reading what the boot loader reads")]
pub fn examine(places: Places<'_>, settings: &Settings) -> Result<Report> {
    let state = BootState::read(places)?;
    let installed = &settings.installed;
    let reads = installed.reads();
    let mut problems = Vec::new();
    problems.extend(state.check().err().map(|error| error.to_string()));
    problems.extend(state.unreadable.iter().skip(1).map(|bad| format!("/boot/{} {}", bad.path, bad.reason)));

    let native = installed.loader.file().and_then(|name| state.foreign.iter().find(|file| file.path == name));
    let first_file = installed.entry_point.as_ref();
    let shown = match (reads, first_file, native) {
        (Reads::OurFile, _, Some(file)) => installed.loader.parse(&file.text),
        (Reads::OurFile, _, None) => {
            let name = installed.loader.file().unwrap_or_default();
            problems.push(format!("There is no /boot/loader/{name}, which the boot loader reads"));
            Shown::default()
        }
        (Reads::Replaceable | Reads::Others, Some(point), _) => {
            problems.push(format!(
                "The boot loader reads /boot/{}, which does not lead to the chosen entries",
                point.path
            ));
            installed.loader.parse(&point.text)
        }
        _ => from_entries(&state),
    };
    let names: Vec<String> = shown.entries.iter().map(|entry| entry.title.clone()).collect();
    let mut titles = BTreeSet::new();
    problems.extend(
        names
            .iter()
            .filter(|name| !titles.insert(*name))
            .map(|name| format!("Two entries have the title {name:?}")),
    );

    let mut entries = Vec::new();
    for (index, shown_entry) in shown.entries.iter().enumerate() {
        let deployment = match deployment(shown_entry, places) {
            Ok(deployment) => deployment,
            Err(problem) => {
                problems.push(format!("{:?}: {problem}", shown_entry.title));
                None
            }
        };
        problems.extend(missing_files(shown_entry, &state, places)?);
        entries.push(ReportedEntry {
            shown: shown_entry.clone(),
            default: shown.default == Some(index),
            deployment: deployment.map(|path| path.to_string()),
        });
    }
    problems.extend(disagreements(&state, &entries));
    let unfinished = Pending::of(places)?.map(|pending| pending.reason);
    problems.extend(
        unfinished.iter().map(|reason| format!("It may still boot from the former entries: {reason}")),
    );
    Ok(Report {
        loader: installed.loader.name(),
        because: installed.because.clone(),
        first_file: first_file.map(|point| format!("/boot/{}", point.path)),
        reads,
        chosen: matches!(state.loader, crate::LoaderLink::Version(_)).then(|| state.boot_version()),
        entries,
        unfinished,
        problems,
    })
}

/// The entries as loaders sort them that read them.
fn from_entries(state: &BootState) -> Shown {
    let mut all: Vec<(EntryName, Entry)> =
        state.entries.iter().map(|entry| (entry.name.clone(), entry.entry.clone())).collect();
    for file in &state.foreign {
        let name = file.path.strip_prefix("entries/").and_then(|name| name.parse().ok());
        all.extend(name.zip(Entry::parse(&file.text).ok()));
    }
    bls::sort(&mut all, |(name, entry)| (name, entry));
    let shown = |(name, entry): &(EntryName, Entry)| ShownEntry {
        title: entry.title().map_or_else(|| name.id.clone(), str::to_owned),
        linux: entry.linux().map(str::to_owned),
        initrd: entry.all("initrd").map(str::to_owned).collect(),
        devicetree: entry.get("devicetree").map(str::to_owned),
        options: entry.options(),
    };
    let entries: Vec<ShownEntry> = all.iter().map(shown).collect();
    Shown { default: (!entries.is_empty()).then_some(0), entries }
}

/// The deployment that an entry of ours leads to, by the rules of the initramfs.
fn deployment(entry: &ShownEntry, places: Places<'_>) -> Result<Option<DeploymentPath>, String> {
    if !entry.is_ours() {
        return Ok(None);
    }
    match resolve(places.root, &KernelArgs::parse(&entry.options)) {
        Ok(target) => Ok(Some(target.deployment.path)),
        Err(problem) => Err(problem.to_string()),
    }
}

/// The files of an entry that a loader does not find, beginning at the root of the file system of `/boot`.
fn missing_files(entry: &ShownEntry, state: &BootState, places: Places<'_>) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    if !entry.is_ours() {
        // Its paths may be on another device.
        return Ok(problems);
    }
    let paths = entry.linux.iter().chain(&entry.initrd).chain(&entry.devicetree);
    for path in paths {
        let there = match (path.strip_prefix("/boot/"), path.strip_prefix('/')) {
            (Some(below), _) if state.boot_on_root => exists(places, below),
            (None, _) if state.boot_on_root => {
                let hint = "set [sysroot] bootprefix=true, for /boot is no file system of its own";
                problems.push(format!(
                    "{:?} names {path}, which the boot loader does not find: {hint}",
                    entry.title
                ));
                continue;
            }
            (_, Some(below)) => exists(places, below),
            (_, None) => false,
        };
        if !there {
            problems.push(format!("{:?} names {path}, which is not there", entry.title));
        }
    }
    Ok(problems)
}

fn exists(places: Places<'_>, below: &str) -> bool {
    // Through `/boot/boot`, as a loader does.
    rustix::fs::statat(places.boot, below, AtFlags::empty()).is_ok()
}

/// Where `ostree admin status` says something else than the loader does.
fn disagreements(state: &BootState, entries: &[ReportedEntry]) -> Vec<String> {
    let planned: Vec<String> =
        state.entries.iter().filter_map(|entry| entry.deployment.as_ref()).map(ToString::to_string).collect();
    let shown: Vec<String> = entries.iter().filter_map(|entry| entry.deployment.clone()).collect();
    let mut problems = Vec::new();
    for path in planned.iter().filter(|path| !shown.contains(path)) {
        problems.push(format!("The boot menu does not show {path}"));
    }
    let common: Vec<&String> = planned.iter().filter(|path| shown.contains(path)).collect();
    if common.len() == planned.len() && !shown.iter().eq(common) {
        problems.push(
            "The boot menu shows the deployments in another order than `ostree admin status`".to_owned(),
        );
    }
    let default = entries.iter().find(|entry| entry.default);
    match (default, planned.first()) {
        (Some(entry), Some(first)) if entry.deployment.as_ref() != Some(first) => problems.push(format!(
            "`ostree admin status` says that {first} is booted next, and the boot loader boots {:?}",
            entry.shown.title
        )),
        (None, Some(_)) => problems.push("The boot loader has no default entry".to_owned()),
        _ => {}
    }
    problems
}
