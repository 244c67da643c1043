// SPDX-License-Identifier: MIT OR Apache-2.0
//! A switch as plain data: what will be written where, in which order, before anything is.

mod compose;
mod foresee;
mod print;

use durable::Freezing;
use formats::bootlink::Bootlink;
use serde::Serialize;

use crate::kernel_files::FileKind;
use crate::loader::{AfterSwitch, Installed, LoaderError};
use crate::state::{BootState, LoaderLink};

/// What is decided elsewhere: by the repository's configuration and by what is running.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// `[sysroot] bootprefix`: paths in entries begin with `/boot/`, for a `/boot` that is no file system of
    /// its own.
    pub boot_prefix: bool,
    /// `[sysroot] freeze-root`.
    pub freezing: Freezing,
    /// The sysroot is not that of the running system (an image is being made): there is no reboot to ask
    /// for, and whoever unmounts it proves the switch.
    pub offline: bool,
    /// The `ostree=` of the running system: what it names is never removed.
    pub running: Option<Bootlink>,
    /// The `boot=` of the running system: the device that its `/boot` is on, where it says so.
    pub boot_argument: Option<String>,
    /// Names in `/boot/ostree` that a staged deployment will need: boot files that no entry names yet, and that stay.
    pub awaited: Vec<String>,
    /// The boot loader.
    pub installed: Installed,
    /// A program that writes GRUB's configuration in place of the menu that is made here (`grub-mkconfig`): it is called
    /// with `-o FILE`.
    pub grub_generator: Option<String>,
    /// What stands before paths in GRUB's menu, where that is not what the file systems say: `""` or `/boot`.
    pub grub_prefix: Option<String>,
    /// `[sysroot] bls-append-except-default`: keys of every entry but the default.
    pub except_default: Vec<(String, String)>,
    /// Where a loader's tool is looked for in place of `PATH`.
    pub tool_path: Option<String>,
    /// Write all entries and files anew, whether something has changed or not.
    pub rewrite: bool,
}

impl Settings {
    /// What stands before paths in `/boot`.
    pub(crate) fn prefix(&self) -> &'static str {
        if self.boot_prefix { "/boot/" } else { "/" }
    }
}

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

/// A place for entries and for their links: `boot.N.M`, and `loader.N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Slot {
    /// N: 0 or 1.
    pub boot_version: u8,
    /// M: 0 or 1.
    pub sub_boot_version: u8,
}

impl Slot {
    /// `boot.N`.
    pub(crate) fn link(&self) -> String {
        format!("boot.{}", self.boot_version)
    }

    /// `boot.N.M`.
    pub(crate) fn links_dir(&self) -> String {
        format!("boot.{}.{}", self.boot_version, self.sub_boot_version)
    }

    /// `loader.N`.
    pub(crate) fn loader_dir(&self) -> String {
        format!("loader.{}", self.boot_version)
    }
}

/// A boot file that has to be brought to `/boot`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CopyFile {
    /// What it is.
    pub kind: FileKind,
    /// Below the physical root; an absolute path is one of the running system.
    pub from: String,
    /// Below `/boot`.
    pub to: String,
    /// Bytes.
    pub size: u64,
    /// A file of another size is there, and goes.
    pub replaces: bool,
    /// Its SELinux label. A hard link has that of the deployment's file.
    pub label: Option<String>,
}

/// A boot file that the new entries need: written by this plan or there already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct NeededFile {
    /// Below `/boot`.
    pub path: String,
    /// Bytes; unknown for initrds of other tools.
    pub size: Option<u64>,
}

/// A text file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct NewFile {
    /// Below the new `loader.N`.
    pub path: String,
    /// All of it.
    pub text: String,
}

/// A program that writes a file in the loader's own format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Generate {
    /// What is run, with `-o FILE`.
    pub program: String,
    /// The file, below the new `loader.N`.
    pub path: String,
}

/// A link from an entry's `ostree=` to its deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct NewLink {
    /// Below the new `boot.N.M`: `STATEROOT/BOOTCHECKSUM/SERIAL`.
    pub path: String,
    /// Relative to the link.
    pub target: String,
}

/// All of a switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SwitchPlan {
    /// How much changes.
    pub change: Change,
    /// What the plan was made for; if it is no longer so, nothing is written.
    pub from: Slot,
    /// What will be chosen.
    pub to: Slot,
    /// Boot files to bring to `/boot`.
    pub copy: Vec<CopyFile>,
    /// Boot files that must be there in the end.
    pub needs: Vec<NeededFile>,
    /// Our entries, the default first.
    pub entries: Vec<NewFile>,
    /// What the loader's own format needs, beside the entries.
    pub native: Vec<NewFile>,
    /// The program that writes it instead.
    pub generate: Option<Generate>,
    /// What follows the commit, before anything of the old set may go.
    pub after: AfterSwitch,
    /// Files of others that come along, below `loader.N`.
    pub carry: Vec<String>,
    /// The links that the entries name.
    pub links: Vec<NewLink>,
    /// What is to be removed once no boot loader can see the old entries any more.
    pub sweep: Vec<String>,
    /// What deserves a look but is in nobody's way.
    pub warnings: Vec<String>,
}

/// Why there is no plan. Each says what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The sysroot was never initialised.
    #[error("There is no directory /ostree; run `ostree admin init-fs` first")]
    NoOstree,
    /// The links layout needs links.
    #[error("/boot is a FAT file system, which has no links; mount one of type ext4, xfs or btrfs there")]
    Fat,
    /// `/boot/loader` belongs to an installation without ostree.
    #[error("/boot/loader is a directory, left by another installation; move it away and try again")]
    LoaderIsDirectory,
    /// `/boot/loader` is not what ostree makes.
    #[error("/boot/loader is {0:?} and no link to loader.0 or loader.1; remove it and try again")]
    LoaderIsOther(String),
    /// An entry of ours is damaged: what it stands for would get lost.
    #[error("Boot entry /boot/{path} {reason}; repair or remove it and try again")]
    Unreadable {
        /// Below `/boot`.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There are boot links, but no entries for them: what they lead to would get lost.
    #[error(
        "There is no /boot/loader, but /ostree/boot.0 or boot.1: mount the boot file system at /boot, or remove those \
         links if nothing is booted from here, and try again"
    )]
    NoLoader,
    /// An entry whose deployment cannot be found: it would get lost.
    #[error(
        "Boot entry {entry}: {bootlink} leads to no deployment; make it a link to ../../../deploy/STATEROOT/deploy/\
         CHECKSUM.SERIAL, or remove the entry, and try again"
    )]
    NoDeployment {
        /// Its file name.
        entry: String,
        /// Its `ostree=`.
        bootlink: String,
    },
    /// The loader cannot boot such entries.
    #[error(transparent)]
    Loader(#[from] LoaderError),
    /// There must be something to boot.
    #[error("There is no deployment to make a boot entry for")]
    NoEntries,
    /// The same deployment twice would be two entries for one link.
    #[error("Deployment {0} is twice in the list")]
    Duplicate(String),
    /// The former switch may not have reached the boot loader yet.
    #[error(
        "The boot entries were changed since the last reboot, and the boot loader may still see the old ones: {0}; reboot first"
    )]
    RebootFirst(String),
}

impl BootState {
    /// Whether a switch can be planned at all.
    pub fn check(&self) -> Result<(), PlanError> {
        if !self.has_ostree {
            return Err(PlanError::NoOstree);
        }
        if self.boot_is_fat {
            return Err(PlanError::Fat);
        }
        match &self.loader {
            LoaderLink::Directory => return Err(PlanError::LoaderIsDirectory),
            LoaderLink::Other(target) => return Err(PlanError::LoaderIsOther(target.clone())),
            // A first switch that was interrupted has left its note.
            LoaderLink::Missing
                if self.record.is_none() && self.sub_boot_versions.iter().any(Option::is_some) =>
            {
                return Err(PlanError::NoLoader);
            }
            LoaderLink::Missing | LoaderLink::Version(_) | LoaderLink::Dangling(_) => {}
        }
        if let Some(lost) = self.entries.iter().find(|entry| entry.deployment.is_none()) {
            let (entry, bootlink) = (lost.name.to_string(), lost.bootlink.to_string());
            return Err(PlanError::NoDeployment { entry, bootlink });
        }
        match self.unreadable.first() {
            Some(bad) => Err(PlanError::Unreadable { path: bad.path.clone(), reason: bad.reason.clone() }),
            None => Ok(()),
        }
    }

    /// The chosen slot.
    pub fn slot(&self) -> Slot {
        Slot { boot_version: self.boot_version(), sub_boot_version: self.sub_boot_version() }
    }
}
