// SPDX-License-Identifier: MIT OR Apache-2.0
//! The notes of a status: where the boot menu is not what the list of deployments makes one think.

use std::path::PathBuf;

use bootloader::{BootState, LoaderLink};
use formats::bls::{self, Entry, EntryName};
use formats::bootlink::DeploymentPath;

use super::note::{Note, Topic};
use crate::load::Loaded;

/// All of them, a line each. `failure`: why the last finalization failed; `told`: the same, where the update is staged again; `left_behind`: what was changed in `/etc` and is
/// not carried over.
pub(super) fn of(
    loaded: &Loaded,
    failure: Option<&str>,
    told: Option<&str>,
    left_behind: &[PathBuf],
) -> Vec<Note> {
    let boot = &loaded.boot;
    let mut notes = Vec::new();
    let mut add = |topic, text: String| notes.push(Note { topic, text: text.trim().replace('\n', " ") });
    if let Some(failure) = failure {
        add(
            Topic::FinalizationFailed,
            format!("the update at the last shutdown failed, and has to be staged again: {}", failure.trim()),
        );
    }
    match (&loaded.persistent, &loaded.staged) {
        (Some(kept), Some(staged)) if kept.attempts > 0 && kept.staged.target == staged.target => {
            let attempt = kept.attempts.saturating_add(1);
            let why = told.map(|why| format!(": {}", why.trim())).unwrap_or_default();
            add(
                Topic::StagedAgain,
                format!(
                    "the last shutdown did not finish the update; it is staged again, and the next shutdown makes \
                     attempt {attempt}{why}"
                ),
            );
        }
        (Some(kept), None) => add(
            Topic::StagedOnDisk,
            format!(
                "an update to {} was staged and not finished; the next boot takes it up, if nothing else is deployed \
                 before",
                kept.staged.target.path
            ),
        ),
        _ => {}
    }
    if let Some(problem) = &loaded.staged_problem {
        add(
            Topic::StagedUnusable,
            format!("what is staged cannot be used, and shutdown changes nothing; stage it again: {problem}"),
        );
    }
    if loaded.is_running_system && loaded.deployments.iter().all(|d| !d.booted || d.unlisted) {
        add(
            Topic::BootedNotInMenu,
            "the running system is not in the boot menu: once it is shut down, it cannot be booted again; the next \
             change of the menu gives it an entry, as `ostree admin set-default 0` does"
                .to_owned(),
        );
    }
    if let Some(first) = left_behind.first() {
        let count = left_behind.len();
        add(
            Topic::EtcLeftBehind,
            format!(
                "/etc/{} ({count} changes in all) was changed after the deployment that is booted next was made, and \
                 is not carried over to it: run `ostree admin etc-merge --into 0`",
                first.display()
            ),
        );
    }
    if let Some(text) = loader(&boot.loader) {
        add(Topic::Loader, text);
    }
    for bad in &boot.unreadable {
        add(
            Topic::EntryUnreadable,
            format!(
                "/boot/{} {}: repair or remove it; `ostree admin fsck-boot` says how",
                bad.path, bad.reason
            ),
        );
    }
    let is_deployed = |path: &Option<DeploymentPath>| {
        path.as_ref().is_some_and(|path| loaded.deployments.iter().any(|d| d.path == *path))
    };
    for entry in boot.entries.iter().filter(|entry| !is_deployed(&entry.deployment)) {
        add(
            Topic::EntryDangling,
            format!("boot entry {} ({}) leads to no deployment", entry.name, entry.bootlink),
        );
    }
    for (name, problem) in boot.entries.iter().filter_map(|e| Some((&e.name, e.ostree_problem()?))) {
        add(
            Topic::EntryAmbiguous,
            format!("boot entry {name} {problem}: run `ostree admin fsck-boot --repair`"),
        );
    }
    if let Some(name) = foreign_first(boot) {
        add(
            Topic::ForeignEntryFirst,
            format!(
                "boot entry {name}, which is not of ostree, is first for a boot loader that has no default set"
            ),
        );
    }
    if is_unproven(boot) {
        add(
            Topic::SwitchUnproven,
            "the last change of the boot menu is not proven to be on the disk: until the next reboot a boot loader \
             may still show the former one"
                .to_owned(),
        );
    }
    notes
}

/// Lists the facts that need privileges, in one line.
pub(super) fn not_known(loaded: &Loaded, mut not_known: Vec<String>) -> Option<Note> {
    let origins = loaded.deployments.iter().enumerate().filter(|(_, d)| d.origin_problem.is_some());
    if !rustix::process::geteuid().is_root() {
        not_known.extend(origins.map(|(index, _)| format!("the origin of deployment {index}")));
    }
    not_known.sort();
    not_known.dedup();
    let what = not_known.join("; ");
    let text = format!("not known without privileges: {what}; run `ostree admin status` as root");
    (!what.is_empty()).then_some(Note { topic: Topic::NotKnown, text })
}

fn loader(link: &LoaderLink) -> Option<String> {
    match link {
        LoaderLink::Missing | LoaderLink::Version(_) => None,
        LoaderLink::Dangling(version) => {
            Some(format!("/boot/loader leads to loader.{version}, which is not there: nothing can be booted"))
        }
        LoaderLink::Directory => Some(
            "/boot/loader is a directory, left by another installation: what is deployed is not in the boot menu"
                .to_owned(),
        ),
        LoaderLink::Other(what) => {
            Some(format!("/boot/loader is {what:?} and no link to loader.0 or loader.1: remove it"))
        }
    }
}

/// The entry of others that is in front of all of ours.
fn foreign_first(boot: &BootState) -> Option<EntryName> {
    let foreign = boot.foreign.iter().filter_map(|file| {
        let name: EntryName = file.path.strip_prefix("entries/")?.parse().ok()?;
        Some((name, Entry::parse(&file.text).ok()?, true))
    });
    let ours = boot.entries.iter().map(|entry| (entry.name.clone(), entry.entry.clone(), false));
    let mut all: Vec<_> = foreign.chain(ours).collect();
    bls::sort(&mut all, |(name, entry, _)| (name, entry));
    all.into_iter().next().filter(|(_, _, foreign)| *foreign).map(|(name, ..)| name)
}

/// Whether the set that is chosen was chosen under this boot, by a switch that is not proven yet. Mounting replays
/// the journal, so a boot later everybody sees it.
fn is_unproven(boot: &BootState) -> bool {
    let record = boot.record.as_ref();
    record.is_some_and(|record| record.boot_version == boot.boot_version() && record.is_of_this_boot())
}
