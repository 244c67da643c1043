// SPDX-License-Identifier: MIT OR Apache-2.0
//! The deployment that the next boot starts, and the reason.

use bootloader::PresentEntry;
use formats::staged::Staged;
use serde::Serialize;

use crate::load::Loaded;
use crate::retention::{self, Retention};

/// The deployment that the next boot starts, if nobody chooses another one in the boot menu.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct NextBoot {
    /// Its place in the list; left out if nothing that is deployed is started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// Why it is this one, for a program.
    pub reason: Reason,
    /// Why it is this one, for a person.
    pub because: String,
}

/// Why the next boot starts what it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// It is staged: shutdown puts it in front.
    Staged,
    /// It is what shutdown puts the staged one behind.
    StagedBehind,
    /// It is the first in the boot menu, for the staged one is locked.
    FinalizationLocked,
    /// It is the first in the boot menu, for the last finalization failed.
    FinalizationFailed,
    /// It is the first in the boot menu.
    Default,
    /// A boot loader that sorts the entries itself puts it first, though another one is first in the list.
    LoaderOrder,
    /// There is nothing in the boot menu.
    Nothing,
    /// Its deciding facts may not be read without privileges.
    NotKnown,
}

impl NextBoot {
    /// Of what is there. `failed`: whether the last finalization failed. `may_be_staged`: whether the caller may not read what
    /// is staged.
    pub(super) fn of(loaded: &Loaded, failed: bool, may_be_staged: bool) -> Self {
        if may_be_staged {
            let because = "what is staged cannot be read without privileges".to_owned();
            return Self { index: None, reason: Reason::NotKnown, because };
        }
        let default = loaded.deployments.iter().position(|d| !d.staged && !d.unlisted);
        let first = loaded.boot.first_for_a_loader();
        let locked = loaded.staged.as_ref().map(|record| record.locked);
        if let Some(record) = loaded.staged.as_ref().filter(|record| !record.locked) {
            return Self::after_shutdown(loaded, record);
        }
        let (Some(default), Some(first)) = (default, first) else {
            let because = match first {
                None => "there is no entry in the boot menu".to_owned(),
                Some(entry) => {
                    format!("{} is first in the boot menu, and leads to no deployment", entry.name)
                }
            };
            return Self { index: None, reason: Reason::Nothing, because };
        };
        let index = loaded.deployments.iter().position(|d| Some(&d.path) == first.deployment.as_ref());
        if index != Some(default) {
            let because = loader_order(loaded, default, first);
            return Self { index, reason: Reason::LoaderOrder, because };
        }
        let (reason, because) = if locked == Some(true) {
            (
                Reason::FinalizationLocked,
                "the staged one is locked and stays staged; `ostree admin lock-finalization --unlock` lets it go",
            )
        } else if failed {
            (Reason::FinalizationFailed, "it was the default before, and finalizing the staged one failed")
        } else {
            (Reason::Default, because_it_is_first(loaded, default))
        };
        Self { index, reason, because: because.to_owned() }
    }

    /// With a deployment that shutdown makes a part of the menu.
    fn after_shutdown(loaded: &Loaded, record: &Staged) -> Self {
        let (all, stateroot) = (&loaded.deployments, &record.target.path.stateroot);
        let anchor = retention::merge_deployment(all, stateroot);
        let keep = Retention::of_words(&record.retain);
        let list = retention::arrange(all, stateroot, anchor, keep, !record.not_as_default);
        let (index, reason, because) = match list.first() {
            Some(Some(old)) => (*old, Reason::StagedBehind, "the staged one is put behind it at shutdown"),
            _ => (
                0,
                Reason::Staged,
                "it is staged: while this system shuts down, it is finalized and put first",
            ),
        };
        Self { index: Some(index), reason, because: because.to_owned() }
    }
}

fn because_it_is_first(loaded: &Loaded, default: usize) -> &'static str {
    let (running, default) = (loaded.is_running_system, loaded.deployments.get(default));
    match default {
        Some(default) if default.booted => "it is the running system, and first in the boot menu",
        _ if running => "it is first in the boot menu, in front of the running system",
        _ => "it is first in the boot menu",
    }
}

fn loader_order(loaded: &Loaded, default: usize, first: &PresentEntry) -> String {
    let path = loaded.deployments.get(default).map(|d| &d.path);
    let entry = loaded.boot.entries.iter().find(|entry| entry.deployment.as_ref() == path);
    let why = match entry {
        Some(entry) if entry.name.tries.is_some_and(|tries| tries.left == 0) => {
            format!(": {} was tried as often as allowed, and no boot of it was good", entry.name)
        }
        Some(entry) => format!(", not {}", entry.name),
        None => String::new(),
    };
    let lost = if first.deployment.is_none() { ", which leads to no deployment" } else { "" };
    format!("a boot loader puts {} first{lost}{why}", first.name)
}
