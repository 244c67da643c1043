// SPDX-License-Identifier: MIT OR Apache-2.0
//! The state of the boot files, as plain data.

use std::collections::{BTreeMap, BTreeSet};

use formats::Checksum;
use formats::bls::{Entry, EntryName};
use formats::bootlink::{Bootlink, DeploymentPath};
use formats::kernel_args::KernelArgs;

use crate::entry::{self, OtherInitrd};
use crate::record::Record;

/// The states of `/boot/loader`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoaderLink {
    /// Not there: nothing was ever deployed.
    Missing,
    /// A link to `loader.0` or `loader.1`, which is there.
    Version(u8),
    /// A link to `loader.0` or `loader.1`, which is not there.
    Dangling(u8),
    /// A directory: left by an installation without ostree.
    Directory,
    /// A link to something else, or a file.
    Other(String),
}

/// An entry of ours.
#[derive(Debug, Clone)]
pub struct PresentEntry {
    /// Its file name.
    pub name: EntryName,
    /// Its contents.
    pub entry: Entry,
    /// Its `ostree=`.
    pub bootlink: Bootlink,
    /// The deployment that the link leads to; `None` for a link that is missing or leads elsewhere.
    pub deployment: Option<DeploymentPath>,
    /// The deployments that further `ostree=` of it lead to, of which the initramfs takes none.
    pub also: Vec<DeploymentPath>,
}

impl PresentEntry {
    /// Its kernel arguments, `ostree=` included.
    pub fn options(&self) -> KernelArgs {
        KernelArgs::parse(&self.entry.options())
    }

    /// Its keys of other tools, for [`BootEntry::carried`](crate::BootEntry::carried).
    pub fn carried(&self) -> Vec<(String, String)> {
        entry::carried(&self.entry)
    }

    /// Its initrds of other tools, for [`BootEntry::overlay_initrds`](crate::BootEntry::overlay_initrds).
    pub fn overlay_initrds(&self) -> Vec<Checksum> {
        entry::overlay_initrds(&self.entry)
    }

    /// Its other initrds, for [`BootEntry::other_initrds`](crate::BootEntry::other_initrds).
    pub fn other_initrds(&self) -> Vec<OtherInitrd> {
        entry::other_initrds(&self.entry)
    }

    /// Why it may boot something else than it seems to, or nothing: more than one `ostree=`.
    pub fn ostree_problem(&self) -> Option<String> {
        several_ostree(&self.entry.options())
    }
}

/// A file in the chosen `entries/` that is not one of our entries, or a file beside `entries/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignFile {
    /// Below the chosen `loader.N`: `entries/memtest.conf`, `loader.conf`.
    pub path: String,
    /// Its contents, as far as they are text: they may name boot files that are ours. Of a link that leads nowhere,
    /// its target.
    pub text: String,
}

/// Describes a command line with more than one `ostree=`, however they are quoted.
pub(crate) fn several_ostree(options: &str) -> Option<String> {
    let options = KernelArgs::parse(options);
    let all: Vec<&str> = options.named("ostree").collect();
    (all.len() > 1).then(|| {
        format!(
            "has {} arguments ostree=, of which the initramfs takes the first: {}",
            all.len(),
            all.join(" ")
        )
    })
}

/// An entry of ours that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Below `/boot`.
    pub path: String,
    /// Why.
    pub reason: String,
    /// The part of it that can be read: it may name boot files.
    pub text: String,
}

/// A link from an entry to a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootLink {
    /// Its contents.
    pub target: String,
    /// The deployment that this names, be it there or not.
    pub deployment: Option<DeploymentPath>,
}

/// Links of one `boot.N.M`, by their path below it: `STATEROOT/BOOTCHECKSUM/SERIAL`.
pub type BootLinks = BTreeMap<String, BootLink>;

/// All of it.
#[derive(Debug, Clone)]
pub struct BootState {
    /// The states of `/boot/loader`.
    pub loader: LoaderLink,
    /// The targets of `/ostree/boot.0` and `/ostree/boot.1`: the M of `boot.N.M`.
    pub sub_boot_versions: [Option<u8>; 2],
    /// Our entries in the order of the menu: the default first.
    pub entries: Vec<PresentEntry>,
    /// Files of others.
    pub foreign: Vec<ForeignFile>,
    /// Entries of ours that are damaged.
    pub unreadable: Vec<Unreadable>,
    /// The directories in `/boot/ostree`, with the names and sizes of the files in them.
    pub boot_dirs: BTreeMap<String, BTreeMap<String, u64>>,
    /// Links in these directories that lead to no file below `/boot`: paths below that.
    pub dead_links: BTreeSet<String>,
    /// Which of `loader.0`, `loader.1`, `loader.tmp` and what was written ahead are there, or were about to be made.
    pub loader_names: Vec<String>,
    /// Which of `boot.N` and `boot.N.M` are there, or were about to be made.
    pub bootlink_names: Vec<String>,
    /// The links in the chosen `boot.N`: path below it, target.
    pub bootlinks: BTreeMap<String, String>,
    /// Whether there is a directory `/ostree`.
    pub has_ostree: bool,
    /// Whether `/boot` is on the file system of the root.
    pub boot_on_root: bool,
    /// Whether `/boot` is a FAT.
    pub boot_is_fat: bool,
    /// The record of the previous switch.
    pub record: Option<Record>,
    /// Why the boot loader may still boot from the entries before the previous switch, if so.
    pub unfinished: Option<String>,
    /// The entries and files that were written ahead of a switch, by their path below its `loader.N`.
    pub prestaged: BTreeMap<String, String>,
    /// Whether `/boot/ostree` gets another shape before something in it changes.
    pub needs_block_format: bool,
    /// Names in `/boot/ostree`, deep or not, of directories.
    pub boot_directories: BTreeSet<String>,
    /// Stale temporary names: paths from the root.
    pub stale_temps: Vec<String>,
}

impl BootState {
    /// Describes a system with a directory `/ostree` in which nothing was ever deployed, and a `/boot` of its own.
    pub fn of_new_system() -> Self {
        Self {
            loader: LoaderLink::Missing,
            sub_boot_versions: [None; 2],
            entries: Vec::new(),
            foreign: Vec::new(),
            unreadable: Vec::new(),
            boot_dirs: BTreeMap::new(),
            dead_links: BTreeSet::new(),
            loader_names: Vec::new(),
            bootlink_names: Vec::new(),
            bootlinks: BTreeMap::new(),
            has_ostree: true,
            boot_on_root: false,
            boot_is_fat: false,
            record: None,
            unfinished: None,
            prestaged: BTreeMap::new(),
            needs_block_format: false,
            boot_directories: BTreeSet::new(),
            stale_temps: Vec::new(),
        }
    }

    /// Which of the two sets is chosen; 0 where none is, as the C tools have it.
    pub fn boot_version(&self) -> u8 {
        match self.loader {
            LoaderLink::Version(version) | LoaderLink::Dangling(version) => version,
            _ => 0,
        }
    }

    /// The chosen set's M of `boot.N.M`; 0 where there is none.
    pub fn sub_boot_version(&self) -> u8 {
        self.sub_boot_version_of(self.boot_version())
    }

    /// Whether this is a directory of boot files, or the one that they are in; below `/boot`.
    pub(crate) fn has_boot_directory(&self, path: &str) -> bool {
        self.boot_directories.contains(path)
    }

    /// The M of `boot.N.M` for one of the sets.
    pub(crate) fn sub_boot_version_of(&self, version: u8) -> u8 {
        self.sub_boot_versions.get(usize::from(version)).copied().flatten().unwrap_or(0)
    }
}
