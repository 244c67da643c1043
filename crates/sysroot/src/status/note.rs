// SPDX-License-Identifier: MIT OR Apache-2.0
//! A note of a status, and its topics.

use serde::Serialize;

/// Something that deserves a look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// The topic, for a program.
    pub topic: Topic,
    /// The matter and the way out, in one line for a person.
    pub text: String,
}

/// The topics of notes.
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
    /// A boot entry has more than one `ostree=`.
    EntryAmbiguous,
    /// An entry that is not of ostree comes first.
    ForeignEntryFirst,
    /// The last change of the boot menu may not be seen by a boot loader.
    SwitchUnproven,
    /// A tool or a file of the boot loader was not brought up to date after the last change of the boot menu.
    LoaderNotUpdated,
    /// The boot loader's own configuration, or what it keeps between boots, leads to another entry.
    LoaderElsewhere,
    /// Something may not be read without privileges, and nothing is claimed of it.
    NotKnown,
}
