// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `status` must not keep to itself: where the boot menu is not what the list of deployments makes one think.

use std::path::PathBuf;

use bootloader::{BootState, LoaderLink};
use formats::bls::{self, Entry, EntryName};
use formats::bootlink::DeploymentPath;
use serde::Serialize;

use crate::load::Loaded;

/// Something that deserves a look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// What it is about, for a program.
    pub topic: Topic,
    /// What is so and what to do about it, in one line for a person.
    pub text: String,
}

/// What a note is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topic {
    /// The update at the last shutdown failed.
    FinalizationFailed,
    /// An update was not finished at the last shutdown, and is staged again.
    StagedAgain,
    /// An update is kept on the disk, and waits for a boot to take it up.
    StagedOnDisk,
    /// The record of a staged deployment cannot be used.
    StagedUnusable,
    /// The running system is not in the boot menu.
    BootedNotInMenu,
    /// `/etc` was changed after the deployment that is booted next was made.
    EtcLeftBehind,
    /// Something in `/etc` was changed both locally and by the update.
    EtcConflicts,
    /// The SELinux policy lacks what was added to it locally.
    SelinuxPolicy,
    /// `/boot/loader` is not a link to a set of entries.
    Loader,
    /// A boot entry cannot be read.
    EntryUnreadable,
    /// A boot entry leads to no deployment.
    EntryDangling,
    /// An entry that is not of ostree comes first.
    ForeignEntryFirst,
    /// The last change of the boot menu may not be seen by a boot loader.
    SwitchUnproven,
    /// A tool or a file of the boot loader was not brought up to date after the last change of the boot menu.
    LoaderNotUpdated,
    /// The boot loader's own configuration, or what it keeps between boots, leads to another entry.
    LoaderElsewhere,
}

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
    match (&loaded.kept, &loaded.staged) {
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
        add(Topic::EntryUnreadable, format!("/boot/{} {}: repair or remove it", bad.path, bad.reason));
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
