// SPDX-License-Identifier: MIT OR Apache-2.0
//! The menu as it should be: which set is chosen, which entries it has, and the deployment of each.

use anyhow::Result;
use bootloader::{BootState, LoaderLink, PresentEntry};
use formats::bls::{Entry, EntryName};
use formats::bootlink::{Bootlink, DeploymentPath};
use formats::kernel_args::KernelArgs;
use sysroot::Sysroot;

use super::evidence::{Evidence, Wanted};
use super::finding::{Action, Problem, Topic};

/// Why an entry that is not there has to be written.
const MISSING: &str = "is missing";

/// The advice where no set of entries is left to go by.
const NO_MENU: &str = "mount the boot file system there (with --boot=PATH if it is elsewhere); if it is lost, boot by other \
                       means and run `ostree admin set-default 0`, or deploy again with the kernel arguments of this machine";

/// The chosen set.
pub(super) struct Menu {
    /// The state of it; of each entry in `places` the deployment is that one.
    pub(super) state: BootState,
    /// Its number.
    pub(super) version: u8,
    /// The entries that lead to a deployment or will, the default first.
    pub(super) places: Vec<Place>,
}

/// One entry of the menu.
pub(super) struct Place {
    /// Its file name.
    pub(super) name: EntryName,
    /// Its `ostree=`.
    pub(super) bootlink: Bootlink,
    /// The deployment that it leads to.
    pub(super) deployment: DeploymentPath,
    /// Its text, or, if it has to be written, its options.
    pub(super) entry: Entry,
    /// Why it has to be written; `None` if it stays as it is.
    pub(super) rewrite: Option<String>,
}

/// An entry of ours that is there but cannot be used, or that is missing.
struct Lost {
    name: EntryName,
    why: String,
    text: String,
}

impl Menu {
    /// Finds out what the menu should be. `None` where there is no set of entries at all.
    pub(super) fn restore(
        sysroot: &Sysroot,
        evidence: &Evidence<'_>,
    ) -> Result<(Option<Self>, Vec<Problem>)> {
        let now = BootState::read(sysroot.places())?;
        let mut problems = Vec::new();
        let (chosen, other) = match choose(sysroot, &now, evidence)? {
            Some(found) => found,
            None if evidence.whole.is_empty() => return Ok((None, problems)),
            None => {
                let text = "leads to no set of boot entries, and there is none; but there are deployments";
                problems.push(Problem::new(Topic::Loader, "/boot/loader", text).by_hand(NO_MENU));
                return Ok((None, problems));
            }
        };
        let version = chosen.boot_version();
        problems.extend(loader_problem(&now.loader, version));
        let mut menu = Self { state: chosen, version, places: Vec::new() };
        menu.fill(evidence, other.as_ref(), &mut problems);
        Ok((Some(menu), problems))
    }

    fn fill(&mut self, evidence: &Evidence<'_>, other: Option<&BootState>, problems: &mut Vec<Problem>) {
        let sub = sub_version(&self.state, self.version, evidence);
        let count = evidence.count_at(self.version, sub).max(self.state.entries.len());
        let linked = |bootlink: &Bootlink| {
            let links = evidence.links.get(&(self.version, sub))?;
            let found = links.get(&below(bootlink))?.deployment.clone()?;
            (bootlink.boot_version == self.version && evidence.is_whole(&found)).then_some(found)
        };
        let direct = |present: &PresentEntry| {
            // The outer link may be lost, and what it led to is there.
            let own = present.deployment.clone().filter(|path| evidence.is_whole(path));
            own.or_else(|| linked(&present.bootlink))
        };
        let mut free = evidence.whole.clone();
        let (ambiguous, clear): (Vec<_>, Vec<_>) =
            self.state.entries.iter_mut().partition(|present| present.ostree_problem().is_some());
        for present in clear {
            let taken = direct(present);
            free.retain(|path| Some(path) != taken.as_ref());
        }
        let mut superfluous = Vec::new();
        for present in ambiguous {
            let led: Vec<_> =
                links_of(&present.entry).filter_map(|link| Some((linked(&link)?, link))).collect();
            // Of several links the first, as the initramfs takes it, unless that is another entry's.
            if let Some((deployment, bootlink)) = led.iter().find(|(path, _)| free.contains(path)) {
                free.retain(|path| path != deployment);
                (present.deployment, present.bootlink) = (Some(deployment.clone()), bootlink.clone());
            } else if !led.is_empty() {
                superfluous.push(present.name.clone());
            }
        }
        for present in self.state.entries.clone() {
            if superfluous.contains(&present.name) {
                let path = format!("/boot/loader.{}/entries/{}", self.version, present.name);
                let text = format!(
                    "{}, and they lead where other entries do",
                    present.ostree_problem().unwrap_or_default()
                );
                problems.push(Problem::new(Topic::Entry, &path, text).mended_by(Action::Remove { path }));
                continue;
            }
            let index = index_of(&present.name, count);
            let wanted = Wanted { bootlink: &present.bootlink, index, entry: &present.entry };
            let Some(deployment) = direct(&present).or_else(|| evidence.find(&wanted, &free)) else {
                problems.push(without_deployment(&present, self.version));
                continue;
            };
            free.retain(|path| *path != deployment);
            // The set that is chosen decides which links the entry may name.
            let rewrite = (present.bootlink.boot_version != self.version)
                .then(|| format!("names {}, a link of the other set", present.bootlink))
                .or_else(|| present.ostree_problem());
            let PresentEntry { name, entry, mut bootlink, .. } = present;
            bootlink.boot_version = self.version;
            self.places.push(Place { name, bootlink, deployment, entry, rewrite });
        }
        self.add_lost(evidence, other, sub, count, &mut free, problems);
        self.places.sort_by_key(|place| std::cmp::Reverse(number(&place.name)));
        // A deployment that is gone would make every plan of a new menu fail.
        let places = &self.places;
        self.state.entries.retain_mut(|present| {
            let place = places.iter().find(|place| place.name == present.name);
            present.deployment = place.map(|place| place.deployment.clone());
            place.is_some()
        });
    }

    /// Entries that cannot be read, and those of which only the links are left.
    fn add_lost(
        &mut self,
        evidence: &Evidence<'_>,
        other: Option<&BootState>,
        sub: u8,
        count: usize,
        free: &mut Vec<DeploymentPath>,
        problems: &mut Vec<Problem>,
    ) {
        let mut lost = self.unreadable(problems);
        let links = evidence.links.get(&(self.version, sub)).cloned().unwrap_or_default();
        let linked =
            |path: &DeploymentPath| links.values().any(|link| link.deployment.as_ref() == Some(path));
        let missing = free.iter().filter(|path| linked(path)).count().saturating_sub(lost.len());
        let is_named = |number: usize, lost: &[Lost]| {
            let is = |name: &EntryName| number_in(&name.id) == number.to_string();
            self.state.entries.iter().any(|e| is(&e.name)) || lost.iter().any(|l| is(&l.name))
        };
        for _ in 0..missing {
            // Behind all others where it cannot be told which place it had.
            let number = (1..=count.max(1)).rev().find(|number| !is_named(*number, &lost)).unwrap_or(0);
            let name = EntryName { id: format!("ostree-{number}"), tries: None };
            lost.push(Lost { name, why: MISSING.to_owned(), text: String::new() });
        }
        for lost in lost {
            let path = format!("/boot/loader.{}/entries/{}", self.version, lost.name);
            let found = self.find_lost(&lost, evidence, other, sub, count, free);
            let found = found
                .and_then(|(link, at)| Some((link, at.clone(), options(&lost, &at, &self.state, other)?)));
            let Some((bootlink, deployment, options)) = found else {
                let problem = Problem::new(Topic::Entry, &path, lost.why.clone());
                let is_missing = lost.text.is_empty() && lost.why == MISSING;
                problems.push(match (is_missing, free.is_empty()) {
                    (true, _) => problem.by_hand(NO_MENU),
                    (false, true) => problem.mended_by(Action::Remove { path }),
                    // Which of them it meant cannot be told.
                    (false, false) => problem.by_hand(format!(
                        "write it for {}, or remove it if that is not wanted any more",
                        free.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
                    )),
                });
                continue;
            };
            free.retain(|path| *path != deployment);
            let mut entry = Entry::default();
            entry.push("options", &options.to_string());
            let rewrite = Some(lost.why);
            self.places.push(Place { name: lost.name, bootlink, deployment, entry, rewrite });
        }
        self.state.unreadable.clear();
    }

    /// Those of ours; about those of others there is nothing to do for us.
    fn unreadable(&self, problems: &mut Vec<Problem>) -> Vec<Lost> {
        let mut lost = Vec::new();
        for bad in &self.state.unreadable {
            let file = bad.path.rsplit_once("/entries/").map(|(_, file)| file);
            let name = file.and_then(|file| file.parse::<EntryName>().ok());
            match name.filter(|name| name.id.starts_with("ostree-")) {
                Some(name) => lost.push(Lost { name, why: bad.reason.clone(), text: bad.text.clone() }),
                None => problems.push(
                    Problem::new(Topic::Entry, format!("/boot/{}", bad.path), bad.reason.clone())
                        .by_hand("repair or remove it: it is not of ostree, and no change of the menu is made beside it"),
                ),
            }
        }
        lost
    }

    /// The link and the deployment of an entry that says little or nothing of itself.
    fn find_lost(
        &self,
        lost: &Lost,
        evidence: &Evidence<'_>,
        other: Option<&BootState>,
        sub: u8,
        count: usize,
        free: &[DeploymentPath],
    ) -> Option<(Bootlink, DeploymentPath)> {
        let text = Entry::parse(&lost.text).unwrap_or_default();
        let index = index_of(&lost.name, count);
        let said = bootlink_of(&text);
        if let Some(bootlink) = said.map(|link| Bootlink { boot_version: self.version, ..link }) {
            let links = evidence.links.get(&(self.version, sub));
            let direct = links.and_then(|links| links.get(&below(&bootlink))?.deployment.clone());
            let direct = direct.filter(|path| free.contains(path) && evidence.is_whole(path));
            let wanted = Wanted { bootlink: &bootlink, index, entry: &text };
            if let Some(found) = direct.or_else(|| evidence.find(&wanted, free)) {
                return Some((bootlink, found));
            }
        }
        let links = evidence.links.get(&(self.version, sub)).cloned().unwrap_or_default();
        let commit = evidence.commit_at(self.version, sub, index);
        // By the links that are left over; the refs say which of them is at this place.
        let mut left: Vec<_> = links
            .iter()
            .filter_map(|(path, link)| Some((path, link.deployment.clone()?)))
            .filter(|(_, path)| free.contains(path))
            .collect();
        left.sort_by_key(|(_, path)| (Some(path.checksum) != commit, free.iter().position(|f| f == path)));
        if let Some((path, deployment)) = left.into_iter().next() {
            let bootlink = format!("/ostree/boot.{}/{path}", self.version).parse().ok()?;
            return Some((bootlink, deployment));
        }
        if let Some(deployment) = free.iter().find(|path| Some(path.checksum) == commit) {
            let boot_checksum = evidence.boot_checksum(deployment)?;
            let is_used = |serial: u32| {
                let is = |link: &Bootlink| link.boot_checksum == boot_checksum && link.boot_serial == serial;
                self.places.iter().any(|place| is(&place.bootlink))
            };
            let boot_serial = (0..).find(|serial| !is_used(*serial))?;
            let stateroot = deployment.stateroot.clone();
            let bootlink = Bootlink { boot_version: self.version, stateroot, boot_checksum, boot_serial };
            return Some((bootlink, deployment.clone()));
        }
        let twin = other?.entries.iter().find(|entry| entry.name.id == lost.name.id)?;
        let bootlink = Bootlink { boot_version: self.version, ..twin.bootlink.clone() };
        let wanted = Wanted { bootlink: &bootlink, index, entry: &twin.entry };
        let found = evidence.find(&wanted, free)?;
        Some((bootlink, found))
    }
}

/// The set that is chosen, or should be, and the other one if it can be read.
fn choose(
    sysroot: &Sysroot,
    now: &BootState,
    evidence: &Evidence<'_>,
) -> Result<Option<(BootState, Option<BootState>)>> {
    let read = |version: u8| BootState::read_as_if(sysroot.places(), version);
    let sets = [read(0)?, read(1)?];
    // Entries that lead to a deployment, then entries at all.
    let score = |state: &BootState| {
        let is_whole =
            |entry: &&PresentEntry| entry.deployment.as_ref().is_some_and(|path| evidence.is_whole(path));
        (state.entries.iter().filter(is_whole).count(), state.entries.len() + state.unreadable.len())
    };
    let [zero, one] = sets;
    let first = match now.loader {
        LoaderLink::Version(0) if score(&zero).1 > 0 => true,
        LoaderLink::Version(1) if score(&one).1 > 0 => false,
        _ => score(&zero) >= score(&one),
    };
    let (chosen, other) = if first { (zero, one) } else { (one, zero) };
    Ok((score(&chosen).1 > 0).then(|| {
        let other = (score(&other).1 > 0).then_some(other);
        (chosen, other)
    }))
}

fn loader_problem(link: &LoaderLink, version: u8) -> Option<Problem> {
    let text = match link {
        LoaderLink::Version(chosen) if *chosen == version => return None,
        LoaderLink::Version(chosen) => {
            format!("leads to loader.{chosen}, which has no entries; loader.{version} has")
        }
        LoaderLink::Dangling(chosen) => format!("leads to loader.{chosen}, which is not there"),
        LoaderLink::Missing => "is missing".to_owned(),
        LoaderLink::Directory => "is a directory, and no link to a set of entries".to_owned(),
        LoaderLink::Other(target) => format!("is {target:?}, and no link to loader.0 or loader.1"),
    };
    let mut problem = Problem::new(Topic::Loader, "/boot/loader", text);
    if *link == LoaderLink::Directory {
        let (from, to) = ("/boot/loader".to_owned(), "/boot/loader.other".to_owned());
        problem = problem.mended_by(Action::Rename { from, to });
    }
    Some(problem.mended_by(Action::Choose { target: format!("loader.{version}") }))
}

/// An entry that leads nowhere cannot be booted, and is in the way of every change of the menu.
fn without_deployment(present: &PresentEntry, version: u8) -> Problem {
    let path = format!("/boot/loader.{version}/entries/{}", present.name);
    let text =
        format!("{} leads to no deployment, and there is none that it can have meant", present.bootlink);
    Problem::new(Topic::Deployment, &path, text).mended_by(Action::Remove { path })
}

/// The M of the `boot.N.M` whose links count: the one that `boot.N` leads to, else the one that has most of them.
pub(super) fn sub_version(state: &BootState, version: u8, evidence: &Evidence<'_>) -> u8 {
    let led = state.sub_boot_versions.get(usize::from(version)).copied().flatten();
    let is_there = |sub: &u8| evidence.links.contains_key(&(version, *sub));
    led.filter(is_there).unwrap_or_else(|| {
        let weight = |sub: u8| {
            let links = evidence.links.get(&(version, sub));
            (links.is_some(), evidence.count_at(version, sub), links.map_or(0, |links| links.len()))
        };
        u8::from(weight(1) > weight(0))
    })
}

/// `STATEROOT/BOOTCHECKSUM/SERIAL`: where a link is below `boot.N`.
pub(super) fn below(link: &Bootlink) -> String {
    format!("{}/{}/{}", link.stateroot, link.boot_checksum, link.boot_serial)
}

/// The K of `ostree-K`: the higher, the further in front.
fn number(name: &EntryName) -> usize {
    number_in(&name.id).parse().unwrap_or(0)
}

/// The digits of `ostree-2`, and of `ostree-2-debian`.
pub(super) fn number_in(id: &str) -> &str {
    let rest = id.strip_prefix("ostree-").unwrap_or_default();
    rest.split('-').next().unwrap_or_default()
}

fn index_of(name: &EntryName, count: usize) -> usize {
    count.saturating_sub(number(name))
}

/// Of an entry that has to be written: also one that the initramfs does not come to.
fn bootlink_of(entry: &Entry) -> Option<Bootlink> {
    links_of(entry).next()
}

fn links_of(entry: &Entry) -> impl Iterator<Item = Bootlink> {
    let options = KernelArgs::parse(&entry.options());
    let links: Vec<Bootlink> =
        options.values("ostree").flatten().filter_map(|link| link.parse().ok()).collect();
    links.into_iter()
}

/// The kernel arguments of an entry that has to be written: its own if they are whole, else those of the entry for the same deployment
/// in the other set, else those of a neighbour, which has the same root.
fn options(
    lost: &Lost,
    deployment: &DeploymentPath,
    state: &BootState,
    other: Option<&BootState>,
) -> Option<KernelArgs> {
    let of = |entry: &Entry| KernelArgs::parse(&entry.options());
    let own = Entry::parse(&lost.text).ok().filter(|entry| {
        // A line that something follows was not cut off.
        let ends = entry.fields().last().is_some_and(|(key, _)| key != "options");
        ends && bootlink_of(entry).is_some()
    });
    let twin = other.into_iter().flat_map(|other| &other.entries);
    let twin = twin.filter(|entry| entry.deployment.as_ref() == Some(deployment)).map(|entry| &entry.entry);
    let neighbours = state.entries.iter().chain(other.into_iter().flat_map(|other| &other.entries));
    let neighbour = neighbours.map(|entry| &entry.entry).next();
    own.as_ref().or_else(|| twin.into_iter().next()).or(neighbour).map(of)
}
