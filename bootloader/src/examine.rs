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

use crate::loader::{Beside, Installed, Reads, Shown, ShownEntry, grub2};
use crate::pending::unfinished;
use crate::places::Places;
use crate::settings::Settings;
use crate::state::{BootState, LoaderLink, PresentEntry, several_ostree};

/// The view that a boot loader has of a system.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// Its name in the configuration.
    pub loader: &'static str,
    /// The file that says that it is this one.
    pub because: String,
    /// The file that it reads first, from the root; `None` where that is in the chosen set.
    pub first_file: Option<String>,
    /// The menu that it leads to.
    pub reads: Reads,
    /// Which of the two sets is chosen, if any: N of `loader.N`.
    pub chosen: Option<u8>,
    /// The entries that it shows, in its order.
    pub entries: Vec<ReportedEntry>,
    /// The work that is left before it boots from the chosen set.
    pub unfinished: Option<String>,
    /// The faults, for a person.
    pub problems: Vec<String>,
}

/// An entry of its menu.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ReportedEntry {
    /// The kernel and files that it boots.
    #[serde(flatten)]
    pub shown: ShownEntry,
    /// Whether it is booted if nobody chooses.
    pub default: bool,
    /// The deployment that it leads to; `None` for those of others, and where it leads nowhere.
    pub deployment: Option<String>,
}

const NOT_UPDATED: &str =
    "The boot loader was not updated after the last change, and may still boot from the entries before it";

/// Reads a system as its boot loader does.
#[fn_error_context::context("Reading what the boot loader reads")]
pub fn examine(places: Places<'_>, settings: &Settings) -> Result<Report> {
    let state = BootState::read(places)?;
    let installed = &settings.installed;
    let reads = installed.reads();
    let mut problems = Vec::new();
    problems.extend(state.check().err().map(|error| error.to_string()));
    problems.extend(state.unreadable.iter().skip(1).map(|bad| format!("/boot/{} {}", bad.path, bad.reason)));

    let first_file = installed.entry_point.as_ref();
    let (shown, problem) = what_it_shows(&state, installed);
    problems.extend(problem);
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
        let several =
            Some(shown_entry).filter(|entry| entry.is_ours()).and_then(|e| several_ostree(&e.options));
        problems.extend(several.map(|text| format!("{:?} {text}", shown_entry.title)));
        problems.extend(missing_files(shown_entry, &state, places, installed.subvolume.as_deref()));
        entries.push(ReportedEntry {
            shown: shown_entry.clone(),
            default: shown.default == Some(index),
            deployment: deployment.map(|path| path.to_string()),
        });
    }
    problems.extend(disagreements(&state, &entries, shown.chosen_by.as_deref()));
    let unfinished = unfinished(places)?;
    problems.extend(
        unfinished
            .iter()
            .map(|reason| format!("{NOT_UPDATED}: {reason}; mend that, and run `ostree admin cleanup`")),
    );
    Ok(Report {
        loader: installed.loader.name(),
        because: installed.because.clone(),
        first_file: first_file.map(|point| format!("/boot/{}", point.path)),
        reads,
        chosen: matches!(state.loader, LoaderLink::Version(_)).then(|| state.boot_version()),
        entries,
        unfinished,
        problems,
    })
}

/// The menu, and what keeps it from being the one that was made.
fn what_it_shows(state: &BootState, installed: &Installed) -> (Shown, Option<String>) {
    let (loader, beside) = (installed.loader, &installed.beside);
    let native = loader.file().and_then(|name| state.foreign.iter().find(|file| file.path == name));
    match (installed.reads(), &installed.entry_point, native) {
        (Reads::OurFile, _, Some(file)) => (loader.shows(&file.text, beside), None),
        (Reads::OurFile, _, None) => {
            let name = loader.file().unwrap_or_default();
            let problem = format!("There is no /boot/loader/{name}, which the boot loader reads");
            (Shown::default(), Some(problem))
        }
        (Reads::Replaceable | Reads::Others, Some(point), _) => {
            let path = &point.path;
            let problem =
                format!("The boot loader reads /boot/{path}, which does not lead to the chosen entries");
            (loader.shows(&point.text, beside), Some(problem))
        }
        _ => (from_entries(state, beside), None),
    }
}

impl BootState {
    /// The entry that is started by a loader that sorts by the rules for entries, as systemd-boot and GRUB's `blscfg` do.
    pub fn first_for_a_loader(&self) -> Option<&PresentEntry> {
        let mut sorted: Vec<_> = self.entries.iter().collect();
        bls::sort(&mut sorted, |entry| (&entry.name, &entry.entry));
        sorted.first().copied()
    }
}

/// Names the entry that the boot loader boots in place of the one that the rules put first, and the file that says so; `None` where it boots
/// that one, or has nothing to go by but those rules. Reads nothing but what is given.
pub fn boots_elsewhere(state: &BootState, installed: &Installed) -> Option<String> {
    let first = state.first_for_a_loader()?;
    let (shown, problem) = what_it_shows(state, installed);
    let Some(entry) = shown.default.and_then(|index| shown.entries.get(index)) else {
        return problem.or_else(|| Some("The boot loader shows nothing that it could boot".to_owned()));
    };
    let target = |options: &str| KernelArgs::parse(options).first("ostree").flatten().map(str::to_owned);
    if target(&entry.options) == target(&first.entry.options()) {
        return None;
    }
    let own = (installed.reads() != Reads::BootEntries).then(|| "its own configuration says so".to_owned());
    let why = shown.chosen_by.or(problem).or(own)?;
    Some(format!("The boot loader boots {:?}, which is not what ostree puts first: {why}", entry.title))
}

/// The entries as loaders sort them that read them.
fn from_entries(state: &BootState, beside: &Beside) -> Shown {
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
        initrd: entry.initrd().into_iter().map(str::to_owned).collect(),
        devicetree: entry.get("devicetree").map(str::to_owned),
        options: entry.options(),
    };
    let entries: Vec<ShownEntry> = all.iter().map(shown).collect();
    let names: Vec<_> =
        all.iter().zip(&entries).map(|((name, _), entry)| (entry.title.clone(), name.to_string())).collect();
    let (default, chosen_by) = grub2::default_of_entries(beside, &names);
    Shown { default, entries, chosen_by }
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
fn missing_files(
    entry: &ShownEntry,
    state: &BootState,
    places: Places<'_>,
    subvolume: Option<&str>,
) -> Vec<String> {
    let mut problems = Vec::new();
    if !entry.is_ours() {
        // Its paths may be on another device.
        return problems;
    }
    let paths = entry.linux.iter().chain(&entry.initrd).chain(&entry.devicetree);
    for path in paths.filter(|path| !path.starts_with('$')) {
        let in_subvolume =
            subvolume.map(|top| path.strip_prefix(top).and_then(|path| path.strip_prefix('/')));
        let there = match (path.strip_prefix("/boot/"), path.strip_prefix('/')) {
            _ if in_subvolume.is_some() => in_subvolume.flatten().is_some_and(|below| exists(places, below)),
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
    problems
}

fn exists(places: Places<'_>, below: &str) -> bool {
    // Through `/boot/boot`, as a loader does.
    rustix::fs::statat(places.boot, below, AtFlags::empty()).is_ok()
}

/// Where `ostree admin status` says something else than the loader does.
fn disagreements(state: &BootState, entries: &[ReportedEntry], chosen_by: Option<&str>) -> Vec<String> {
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
            "`ostree admin status` says that {first} is booted next, and the boot loader boots {:?}{}",
            entry.shown.title,
            chosen_by.map(|why| format!(": {why}")).unwrap_or_default()
        )),
        (None, Some(_)) => problems.push("The boot loader has no default entry".to_owned()),
        _ => {}
    }
    problems
}
