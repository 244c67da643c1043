// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is there: which set of boot entries is chosen, what they say, and what lies beside them.
//!
//! Reading never fails for the contents of a file: an entry that cannot be read is kept and reported, and so are a
//! `loader` that is no link and a link that leads nowhere. Whether that is in the way is for the plan to say.

pub(crate) mod read;

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;

use formats::Checksum;
use formats::bls::{Entry, EntryName};
use formats::bootlink::{Bootlink, DeploymentPath};
use formats::kernel_args::KernelArgs;

use crate::entry;
use crate::former::Record;

/// The two directories that everything is below.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// The physical root: has `ostree/`.
    pub root: BorrowedFd<'a>,
    /// `/boot`, on that file system or one of its own.
    pub boot: BorrowedFd<'a>,
}

/// What `/boot/loader` is.
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
    /// What it says.
    pub entry: Entry,
    /// Its `ostree=`.
    pub bootlink: Bootlink,
    /// The deployment that the link leads to; `None` for a link that is missing or leads elsewhere.
    pub deployment: Option<DeploymentPath>,
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
}

/// A file in the chosen `entries/` that is not one of our entries, or a file beside `entries/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignFile {
    /// Below the chosen `loader.N`: `entries/memtest.conf`, `loader.conf`.
    pub path: String,
    /// What it says, as far as it is text: it may name boot files that are ours. Of a link that leads nowhere,
    /// its target.
    pub text: String,
}

/// An entry of ours that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Below `/boot`.
    pub path: String,
    /// Why.
    pub reason: String,
    /// What can be read of it: it may name boot files.
    pub text: String,
}

/// A link from an entry to a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootLink {
    /// What it says.
    pub target: String,
    /// The deployment that this names, be it there or not.
    pub deployment: Option<DeploymentPath>,
}

/// Links of one `boot.N.M`, by their path below it: `STATEROOT/BOOTCHECKSUM/SERIAL`.
pub type BootLinks = BTreeMap<String, BootLink>;

/// The links in `/ostree/boot.VERSION.SUB`; `None` where there is no such directory.
pub fn boot_links(places: Places<'_>, version: u8, sub: u8) -> anyhow::Result<Option<BootLinks>> {
    let path = format!("ostree/boot.{version}.{sub}");
    let Some(dir) = read::open_dir(places.root, &path)? else { return Ok(None) };
    let links = read::read_bootlinks(&dir)?.into_iter();
    let link = |(path, target): (String, String)| {
        let deployment = read::deployment_of(&target);
        (path, BootLink { target, deployment })
    };
    Ok(Some(links.map(link).collect()))
}

/// All of it.
#[derive(Debug, Clone)]
pub struct BootState {
    /// What `/boot/loader` is.
    pub loader: LoaderLink,
    /// What `/ostree/boot.0` and `/ostree/boot.1` lead to: the M of `boot.N.M`.
    pub sub_boot_versions: [Option<u8>; 2],
    /// Our entries in the order of the menu: the default first.
    pub entries: Vec<PresentEntry>,
    /// Files of others.
    pub foreign: Vec<ForeignFile>,
    /// Entries of ours that are damaged.
    pub unreadable: Vec<Unreadable>,
    /// The directories in `/boot/ostree`, with the names and sizes of the files in them.
    pub boot_dirs: BTreeMap<String, BTreeMap<String, u64>>,
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
    /// What a former switch has written down about itself.
    pub record: Option<Record>,
}

impl BootState {
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

    /// The M of `boot.N.M` for one of the sets.
    pub(crate) fn sub_boot_version_of(&self, version: u8) -> u8 {
        self.sub_boot_versions.get(usize::from(version)).copied().flatten().unwrap_or(0)
    }
}
