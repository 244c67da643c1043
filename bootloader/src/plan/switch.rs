// SPDX-License-Identifier: MIT OR Apache-2.0
//! The plan of a switch, and how much it changes.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::files::{CopyFile, Generate, NeededFile, NewFile, NewLink};
use crate::loader::AfterSwitch;
use crate::slot::Slot;

/// How much of the disk changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Nothing: what is asked for is there.
    Nothing,
    /// The entries stay as they are and lead to other deployments.
    Bootlinks,
    /// A new set of entries.
    Entries,
}

/// All of a switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SwitchPlan {
    /// How much changes.
    pub change: Change,
    /// The state that the plan was made for; if it is no longer so, nothing is written.
    pub from: Slot,
    /// The set that will be chosen.
    pub to: Slot,
    /// Boot files to bring to `/boot`.
    pub copy: Vec<CopyFile>,
    /// Boot files that must be there in the end.
    pub needs: Vec<NeededFile>,
    /// Our entries, the default first.
    pub entries: Vec<NewFile>,
    /// The files of the loader's own format, beside the entries.
    pub native: Vec<NewFile>,
    /// The program that writes it instead.
    pub generate: Option<Generate>,
    /// The work that follows the commit, before anything of the old set may go.
    pub after: AfterSwitch,
    /// Files of others that come along, below `loader.N`.
    pub carry: Vec<String>,
    /// The links that the entries name.
    pub links: Vec<NewLink>,
    /// Files to remove once no boot loader can see the old entries any more.
    pub sweep: Vec<String>,
    /// Whether there is a previous switch to be proven: not before the first one.
    pub prove_previous: bool,
    /// The work that the previous switch has left for a boot loader.
    pub finish: Option<AfterSwitch>,
    /// Whether `/boot/ostree` gets the shape that it keeps before something in it changes.
    pub force_block_format: bool,
    /// Names in the way of the new set, from the root.
    pub clear: Vec<String>,
    /// The directories of boot files that are not there yet, from the root.
    pub boot_directories: Vec<String>,
    /// Files that were written ahead and are adopted, below the new `loader.N`.
    pub adopt: BTreeSet<String>,
    /// Whether something was written ahead.
    pub prestaged: bool,
    /// Whether there is a note to be removed.
    pub note: bool,
    /// Stale temporary names, from the root.
    pub stale_temps: Vec<String>,
    /// Warnings about what deserves a look and stops nothing.
    pub warnings: Vec<String>,
}
