// SPDX-License-Identifier: MIT OR Apache-2.0
//! From deployments to a plan.

use std::collections::{BTreeMap, BTreeSet};

use formats::Checksum;
use formats::bls::{Entry, EntryName};
use formats::bootlink::Bootlink;
use formats::kernel_args::KernelArgs;

use super::error::PlanError;
use super::leftovers;
use super::sequence::in_the_way;
use super::sweep;
use super::switch::{Change, SwitchPlan};
use crate::entry::{BootEntry, Position};
use crate::files::{CopyFile, FileKind, Generate, NeededFile, NewFile, NewLink};
use crate::loader::{self, LoaderError, MenuItem, Reads, grub2};
use crate::names::{LOADER_TEMPORARY, OVERLAY_DIR, PRESTAGED};
use crate::settings::Settings;
use crate::slot::Slot;
use crate::state::{BootState, LoaderLink};

/// The keys that name a deployment and not what is booted: a new deployment with the same boot files changes
/// them, and is no reason to touch the entries. Only Android's boot loader reads them, through its own tool.
const DEPLOYMENT_KEYS: [&str; 2] = ["aboot", "abootcfg"];

/// The files that are made from the entries, by us or by tools: they are made anew, not carried over.
const NATIVE_NAMES: [&str; 4] = ["grub.cfg", "syslinux.cfg", "extlinux.conf", "uEnv.txt"];

impl SwitchPlan {
    /// Plans the switch from what is there to `entries`, the default first.
    pub fn new(state: &BootState, entries: &[BootEntry], settings: &Settings) -> Result<Self, PlanError> {
        state.check()?;
        check(entries)?;
        check_torn(state, entries)?;
        let from = state.slot();
        let same = Menu::new(entries, from.boot_version, settings);
        // A boot file that is gone, cut short, or torn and named by no entry is brought back with a new set: nothing is written
        // over what may be read.
        let whole = copies(state, entries).is_empty();
        let unchanged = whole && same.entries_are(state) && same.native_is(state, settings)?;
        if unchanged && !settings.rewrite && settings.installed.reads() != Reads::Replaceable {
            let to = Slot { sub_boot_version: 1 - from.sub_boot_version, ..from };
            if same.links_are(state) {
                return same.plan(Change::Nothing, from, from, state, settings);
            }
            return same.plan(Change::Bootlinks, from, to, state, settings);
        }
        let boot_version = 1 - from.boot_version;
        let to = Slot { boot_version, sub_boot_version: 1 - state.sub_boot_version_of(boot_version) };
        let menu = Menu::new(entries, boot_version, settings);
        let mut plan = menu.plan(Change::Entries, from, to, state, settings)?;
        plan.stage_entries(&menu, state, entries);
        plan.native = menu.native(state, settings)?;
        plan.generate = settings.generator();
        if let Some(default) = menu.entries.first() {
            plan.after = settings.installed.loader.after_switch(&settings.installed, &default.entry)?;
        }
        let update = Some(&plan.after).filter(|after| **after != loader::AfterSwitch::Nothing);
        plan.stale_temps =
            sweep::other_temps(state, update.or(plan.finish.as_ref()), plan.force_block_format);
        plan.adopt_prestaged(state);
        plan.sweep_old_set(state, settings);
        Ok(plan)
    }

    fn stage_entries(&mut self, menu: &Menu, state: &BootState, entries: &[BootEntry]) {
        self.copy = copies(state, entries);
        self.needs = needs(entries);
        self.entries = menu.entries.iter().map(NamedEntry::file).collect();
        let foreign = state.foreign.iter().filter(|file| !NATIVE_NAMES.contains(&file.path.as_str()));
        self.carry = foreign.map(|file| file.path.clone()).collect();
        let paths = self.copy.iter().map(|copy| copy.to.as_str());
        let dirs: BTreeSet<&str> = paths.flat_map(parents).collect();
        let new = dirs.into_iter().filter(|dir| !state.has_boot_directory(dir));
        self.boot_directories = new.map(|dir| format!("/boot/{dir}")).collect();
        self.force_block_format = state.needs_block_format;
    }

    /// Adopts what is still as the switch would write it now; all else that was written ahead is in the way, for its room is
    /// counted on.
    fn adopt_prestaged(&mut self, state: &BootState) {
        let files = self.entries.iter().chain(&self.native);
        let is_same = |file: &&NewFile| state.prestaged.get(&file.path) == Some(&file.text);
        self.adopt = files.filter(is_same).map(|file| file.path.clone()).collect();
        let other = state.prestaged.keys().filter(|path| !self.adopt.contains(*path));
        self.clear.extend(other.map(|path| format!("/boot/{PRESTAGED}/{path}")));
    }

    /// The old link and the old set go, and boot files that neither the new entries name nor files of others that come along.
    fn sweep_old_set(&mut self, state: &BootState, settings: &Settings) {
        let foreign = state.foreign.iter().filter(|file| !NATIVE_NAMES.contains(&file.path.as_str()));
        let ours = self.entries.iter().chain(&self.native).map(|file| file.text.as_str());
        let texts: Vec<&str> = ours.chain(foreign.map(|file| file.text.as_str())).collect();
        let mut sweep = leftovers::list(state, self.to, &texts, settings);
        let is_done_before =
            |path: &String| self.clear.contains(path) || *path == format!("/boot/{PRESTAGED}");
        sweep.retain(|path| !is_done_before(path));
        if state.loader != LoaderLink::Missing {
            sweep.push(format!("/boot/{LOADER_TEMPORARY}"));
        }
        sweep.sort();
        self.sweep = sweep;
    }
}

impl Settings {
    /// The program that writes GRUB's configuration, if another one is to.
    fn generator(&self) -> Option<Generate> {
        let program = self.grub_generator.clone().filter(|_| self.installed.loader.name() == "grub2")?;
        Some(Generate { program, path: "grub.cfg".to_owned() })
    }
}

fn check(entries: &[BootEntry]) -> Result<(), PlanError> {
    if entries.is_empty() {
        return Err(PlanError::NoEntries);
    }
    let mut seen = BTreeSet::new();
    match entries.iter().find(|entry| !seen.insert(&entry.deployment)) {
        Some(twice) => Err(PlanError::Duplicate(twice.deployment.to_string())),
        None => Ok(()),
    }
}

/// A file that a boot loader may read is not replaced by a rename: before a journal has reached its place, the name may lead to nothing.
/// A repair has another way to do that.
fn check_torn(state: &BootState, entries: &[BootEntry]) -> Result<(), PlanError> {
    let texts: Vec<String> = state.entries.iter().map(|entry| entry.entry.to_string()).collect();
    let is_named = |path: &&String| {
        // Device trees are named by their directory.
        let mut parts = path.split('/');
        let name = if path.starts_with(OVERLAY_DIR) { Some(path.as_str()) } else { parts.nth(1) };
        let foreign = state.foreign.iter().map(|file| &file.text);
        name.is_some_and(|name| texts.iter().chain(foreign).any(|text| text.contains(name)))
    };
    match entries.iter().flat_map(|entry| &entry.torn).find(is_named) {
        Some(path) => Err(PlanError::Torn(path.clone())),
        None => Ok(()),
    }
}

struct NamedEntry {
    name: EntryName,
    entry: Entry,
    environment: Option<String>,
}

impl NamedEntry {
    fn file(&self) -> NewFile {
        NewFile { path: format!("entries/{}", self.name), text: self.entry.to_string() }
    }

    fn item(&self) -> MenuItem<'_> {
        MenuItem { name: &self.name, entry: &self.entry, environment: self.environment.as_deref() }
    }
}

/// The entries and links that a list of deployments makes in one of the sets.
struct Menu {
    entries: Vec<NamedEntry>,
    links: Vec<NewLink>,
    warnings: Vec<String>,
}

impl Menu {
    fn new(deployments: &[BootEntry], boot_version: u8, settings: &Settings) -> Self {
        let stateroots: BTreeSet<_> = deployments.iter().map(|entry| &entry.deployment.stateroot).collect();
        let serials = boot_serials(deployments);
        let mut menu = Self { entries: Vec::new(), links: Vec::new(), warnings: Vec::new() };
        let count = deployments.len();
        for (index, (deployment, boot_serial)) in deployments.iter().zip(serials).enumerate() {
            let bootlink = Bootlink {
                boot_version,
                stateroot: deployment.deployment.stateroot.clone(),
                boot_checksum: deployment.boot_checksum,
                boot_serial,
            };
            let show_stateroot = stateroots.len() > 1;
            let position =
                Position { index, count, show_stateroot, prefix: settings.prefix(), bootlink: &bootlink };
            // GRUB sorts by file name, systemd-boot by file name where there is no sort-key: so the name counts.
            let stateroot = &bootlink.stateroot;
            let stateroot = if settings.stateroot_in_names { format!("-{stateroot}") } else { String::new() };
            let name =
                EntryName { id: format!("ostree-{}{stateroot}", count - index), tries: deployment.tries };
            let mut entry = deployment.text(&position);
            for (key, value) in &settings.except_default {
                // Another default was one of the others before, and took them along.
                entry.remove(key);
                if index > 0 {
                    entry.push(key, value);
                }
            }
            let path = &deployment.deployment;
            let lost = deployment.lost_initrds.iter();
            menu.warnings.extend(lost.map(|initrd| {
                format!(
                    "the boot entry of {path} leaves out the initrd {initrd}, which is not there any more"
                )
            }));
            let why = settings.installed.loader.loads_one_initrd().filter(|_| entry.initrd().len() > 1);
            menu.warnings.extend(why.map(|why| {
                let loader = settings.installed.loader.name();
                let all = entry.initrd().join(" ");
                format!("the boot entry of {path} has several initrds ({all}), and {loader} may not load them: {why}")
            }));
            let environment = deployment.environment.clone();
            menu.entries.push(NamedEntry { name, entry, environment });
            menu.links.push(NewLink {
                path: format!("{}/{}/{boot_serial}", bootlink.stateroot, bootlink.boot_checksum),
                target: format!("../../../{}", below_ostree(&deployment.deployment.to_string())),
            });
        }
        menu
    }

    /// The kernel arguments of which GRUB makes something else, each once.
    fn changed_arguments(&self, settings: &Settings) -> BTreeSet<String> {
        let installed = &settings.installed;
        let is_menu = installed.loader.name() == "grub2";
        let is_script = settings.generator().is_some() || installed.reads() == Reads::BootEntries;
        if !is_menu && installed.beside.script.is_none() {
            return BTreeSet::new();
        }
        let options = self.entries.iter().map(|entry| KernelArgs::parse(&entry.entry.options()));
        options.flat_map(|args| grub2::changed_arguments(&args, is_script).collect::<Vec<_>>()).collect()
    }

    /// Whether the chosen set says just this, apart from what names a deployment.
    fn entries_are(&self, state: &BootState) -> bool {
        let comparable = |entry: &Entry| {
            let mut entry = entry.clone();
            DEPLOYMENT_KEYS.iter().for_each(|key| entry.remove(key));
            let mut fields: Vec<_> = entry.fields().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
            // Where the order means nothing; that of initrds does, and a stable sort keeps it.
            fields.sort_by(|a, b| a.0.cmp(&b.0));
            fields
        };
        self.entries.len() == state.entries.len()
            && self.entries.iter().zip(&state.entries).all(|(new, old)| {
                new.name.id == old.name.id && comparable(&new.entry) == comparable(&old.entry)
            })
    }

    /// The files in the loader's own format.
    fn native(&self, state: &BootState, settings: &Settings) -> Result<Vec<NewFile>, LoaderError> {
        if settings.generator().is_some() {
            return Ok(Vec::new());
        }
        let installed = &settings.installed;
        let ours =
            installed.loader.file().and_then(|name| state.foreign.iter().find(|file| file.path == name));
        let config = match (&installed.entry_point, ours) {
            (Some(point), _) if point.link.is_none() => Some(point.text.as_str()),
            (_, ours) => ours.map(|file| file.text.as_str()),
        };
        let items = self.entries.iter().map(NamedEntry::item).collect();
        let plain = if state.boot_on_root { "/boot" } else { "" };
        let asked = settings.grub_prefix.as_deref().filter(|_| installed.loader.name() == "grub2");
        let asked = asked.map(|prefix| if prefix.trim_matches('/').is_empty() { "" } else { "/boot" });
        let boot = asked.or(installed.subvolume.as_deref()).unwrap_or(plain);
        installed.loader.render(&loader::Menu { items, config, boot })
    }

    /// Whether they are there already.
    fn native_is(&self, state: &BootState, settings: &Settings) -> Result<bool, LoaderError> {
        let there =
            |new: &NewFile| state.foreign.iter().any(|old| old.path == new.path && old.text == new.text);
        Ok(self.native(state, settings)?.iter().all(there))
    }

    fn links_are(&self, state: &BootState) -> bool {
        let links = self.links.iter().map(|link| (link.path.clone(), link.target.clone()));
        links.collect::<BTreeMap<_, _>>() == state.bootlinks
    }

    fn plan(
        &self,
        change: Change,
        from: Slot,
        to: Slot,
        state: &BootState,
        settings: &Settings,
    ) -> Result<SwitchPlan, PlanError> {
        let mut warnings = self.warnings.clone();
        let installed = &settings.installed;
        warnings.extend(self.changed_arguments(settings));
        if let Some(top) = installed.subvolume.as_ref().filter(|_| installed.reads() == Reads::BootEntries) {
            warnings.push(format!(
                "/boot is {top} of a btrfs, which GRUB reads from its top: with blscfg it finds no kernel there; put \
                 `configfile {top}/loader/grub.cfg` into its grub.cfg"
            ));
        } else if state.boot_on_root && !settings.boot_prefix && installed.reads() == Reads::BootEntries {
            let hint = "/boot is no file system of its own; a boot loader that starts at the root of the file \
                        system finds nothing there without [sysroot] bootprefix=true";
            warnings.push(hint.to_owned());
        }
        let texts: Vec<String> = state.entries.iter().map(|entry| entry.entry.to_string()).collect();
        let texts = texts.iter().chain(state.foreign.iter().map(|file| &file.text));
        let texts: Vec<&str> = texts.map(String::as_str).collect();
        let mut sweep = leftovers::list(state, to, &texts, settings);
        // Those go without a proof.
        sweep.retain(|path| change == Change::Nothing || *path != format!("/ostree/{}", from.links_dir()));
        let links = if change == Change::Nothing { Vec::new() } else { self.links.clone() };
        let finish = sweep::finish(state, settings)?;
        let mut plan = SwitchPlan {
            change,
            from,
            to,
            copy: Vec::new(),
            needs: Vec::new(),
            entries: Vec::new(),
            native: Vec::new(),
            generate: None,
            after: loader::AfterSwitch::Nothing,
            carry: Vec::new(),
            links,
            prove_previous: state.loader != LoaderLink::Missing,
            force_block_format: state.needs_block_format,
            clear: Vec::new(),
            boot_directories: Vec::new(),
            adopt: BTreeSet::new(),
            prestaged: state.loader_names.iter().any(|name| name == PRESTAGED),
            note: change == Change::Entries || state.record.is_some() || finish.is_some(),
            stale_temps: sweep::other_temps(state, finish.as_ref(), state.needs_block_format),
            finish,
            sweep,
            warnings,
        };
        plan.clear = in_the_way(&plan, &state.loader_names, &state.bootlink_names);
        Ok(plan)
    }
}

/// The directories on the way to a file.
fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').filter_map(|(at, _)| path.get(..at))
}

/// `deploy/…` of `ostree/deploy/…`.
fn below_ostree(path: &str) -> &str {
    path.strip_prefix("ostree/").unwrap_or(path)
}

/// Deployments with the same boot checksum are numbered in the order of the menu, over all stateroots.
fn boot_serials(deployments: &[BootEntry]) -> Vec<u32> {
    let mut next: BTreeMap<Checksum, u32> = BTreeMap::new();
    let number = |entry: &BootEntry| {
        let next = next.entry(entry.boot_checksum).or_default();
        let serial = *next;
        *next += 1;
        serial
    };
    deployments.iter().map(number).collect()
}

/// The boot files that are not in `/boot` yet, or not whole.
fn copies(state: &BootState, entries: &[BootEntry]) -> Vec<CopyFile> {
    let mut copies: BTreeMap<String, CopyFile> = BTreeMap::new();
    let mut copy = |entry: &BootEntry, kind, from: String, dir: &str, name: &str, size| {
        let there = dir.strip_prefix("ostree/").and_then(|name| state.boot_dirs.get(name));
        let found = there.and_then(|files| files.get(name));
        let to = format!("{dir}/{name}");
        if found != Some(&size) || entry.torn.contains(&to) {
            let replaces = found.is_some() || state.dead_links.contains(&to);
            copies.entry(to.clone()).or_insert(CopyFile { kind, from, to, size, replaces, label: None });
        }
    };
    for entry in entries {
        for file in &entry.files.files {
            let from = format!("{}/{}", entry.deployment, file.source);
            copy(entry, file.kind, from, &entry.boot_dir(), &file.name, file.size);
        }
        for initrd in &entry.new_initrds {
            let name = format!("{}.img", initrd.checksum);
            copy(entry, FileKind::OverlayInitrd, initrd.path.clone(), OVERLAY_DIR, &name, initrd.size);
        }
    }
    copies.into_values().collect()
}

fn needs(entries: &[BootEntry]) -> Vec<NeededFile> {
    let mut needs = BTreeMap::new();
    for entry in entries {
        let dir = entry.boot_dir();
        for file in &entry.files.files {
            needs.insert(format!("{dir}/{}", file.name), Some(file.size));
        }
        for checksum in &entry.overlay_initrds {
            let new = entry.new_initrds.iter().find(|new| new.checksum == *checksum);
            needs.insert(format!("{OVERLAY_DIR}/{checksum}.img"), new.map(|new| new.size));
        }
    }
    needs.into_iter().map(|(path, size)| NeededFile { path, size }).collect()
}
