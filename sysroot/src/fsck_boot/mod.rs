// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checking and repairing the way from the boot loader to the deployments, of a root that need not be the running one.
//!
//! ```text
//! /boot/loader -> loader.N                    one of two sets is chosen
//! /boot/loader.N/entries/ostree-K.conf        each entry can be read,
//! /boot/ostree/STATEROOT-BOOTCHECKSUM/…       names boot files that are those of its deployment,
//! /ostree/boot.N -> boot.N.M                  and a link
//! /ostree/boot.N.M/STATEROOT/BOOTCHECKSUM/I   that leads to a deployment with usr, etc and sysroot
//! ```
//!
//! What is found is plain data, and so is the repair: [`Action`]s, made in the order of their kind. What frees room comes
//! first, then what is renamed; files and links follow from the deployment to the loader, so that nothing leads to what is not
//! there yet. Each action replaces what is broken by something whole in one step, or makes what is missing.
//!
//! Which deployment a broken entry meant is said by what still stands: the links of the other sets, the refs of the
//! deployments, the entry's own text, and last the boot files themselves. See [`evidence`].

mod apply;
mod evidence;
mod files;
mod links;
mod menu;
mod room;

use std::fmt;

use anyhow::Result;
use bootloader::megabytes;
use fn_error_context::context;
use serde::Serialize;

use crate::lock::Lock;
use crate::sysroot::Sysroot;
use evidence::Evidence;
use menu::Menu;

pub use room::NoRoom;

/// What a check has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct BootCheck {
    /// Raised when a key changes its meaning or goes; new keys do not raise it.
    pub schema: u32,
    /// What is not as it should be, from the loader to the deployments.
    pub problems: Vec<Problem>,
    /// All that a repair does, in its order.
    pub repair: Vec<Action>,
    /// Why the repair cannot be made before something is removed by hand.
    pub no_room: Option<NoRoom>,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Problem {
    /// What it is about.
    pub topic: Topic,
    /// Where, from the root.
    pub path: String,
    /// What is wrong, in one line.
    pub text: String,
    /// What mends it; nothing where a person has to.
    pub repair: Vec<Action>,
    /// What a person has to do, where no program can.
    pub by_hand: Option<String>,
}

/// What a problem is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topic {
    /// The link that chooses a set of entries.
    Loader,
    /// An entry.
    Entry,
    /// A link from an entry to its deployment.
    Link,
    /// A kernel, an initrd or a device tree.
    BootFile,
    /// A deployment that an entry leads to.
    Deployment,
}

/// One step of a repair. Paths begin at the physical root, with `/boot/` or `/ostree/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case", tag = "action")]
pub enum Action {
    /// What nothing needs goes, with all that is in it.
    Remove {
        /// What.
        path: String,
    },
    /// A directory gets the name that it is looked for by, or goes out of the way.
    Rename {
        /// Its name now.
        from: String,
        /// Its name then, which is free.
        to: String,
    },
    /// A boot file comes from its deployment.
    Copy {
        /// Below the physical root, without a slash in front.
        from: String,
        /// Where to.
        to: String,
        /// Bytes.
        size: u64,
    },
    /// A symbolic link, over what has its name.
    Link {
        /// Where it is.
        path: String,
        /// What it leads to.
        target: String,
    },
    /// A boot entry, over what has its name.
    Write {
        /// Where it is.
        path: String,
        /// All of it.
        text: String,
    },
    /// The link `/boot/loader`, over what has its name: the last of all, for from then on a boot loader reads the rest.
    Choose {
        /// `loader.0` or `loader.1`.
        target: String,
    },
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remove { path } => write!(f, "remove {path}"),
            Self::Rename { from, to } => write!(f, "rename {from} to {to}"),
            Self::Copy { from, to, size } => write!(f, "copy /{from} to {to} ({})", megabytes(*size)),
            Self::Link { path, target } => write!(f, "make {path} a link to {target}"),
            Self::Write { path, .. } => write!(f, "write {path} anew"),
            Self::Choose { target } => write!(f, "make /boot/loader a link to {target}"),
        }
    }
}

impl Problem {
    fn new(topic: Topic, path: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into().replace('\n', " ");
        Self { topic, path: path.into(), text, repair: Vec::new(), by_hand: None }
    }

    fn mended_by(mut self, action: Action) -> Self {
        self.repair.push(action);
        self
    }

    fn by_hand(mut self, what: impl Into<String>) -> Self {
        self.by_hand = Some(what.into());
        self
    }
}

impl BootCheck {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    fn new(problems: Vec<Problem>) -> Self {
        let mut repair: Vec<Action> = Vec::new();
        for action in problems.iter().flat_map(|problem| &problem.repair) {
            if !repair.contains(action) {
                repair.push(action.clone());
            }
        }
        // Of one kind they stay in the order in which they were found.
        repair.sort_by_key(kind);
        Self { schema: 1, problems, repair, no_room: None }
    }
}

/// The place of an action among the others.
fn kind(action: &Action) -> u8 {
    match action {
        Action::Remove { .. } => 0,
        Action::Rename { .. } => 1,
        Action::Copy { .. } => 2,
        Action::Link { .. } => 3,
        Action::Write { .. } => 4,
        Action::Choose { .. } => 5,
    }
}

impl Sysroot {
    /// Follows every entry as a boot loader and the initramfs do, reads every boot file that is named, and plans what mends
    /// what is broken. Writes nothing and takes no lock.
    #[context("Checking the way from the boot loader to the deployments")]
    pub fn check_boot(&self) -> Result<BootCheck> {
        let evidence = Evidence::gather(self)?;
        let (menu, mut problems) = Menu::restore(self, &evidence)?;
        if let Some(menu) = &menu {
            problems.extend(links::check(self, menu, &evidence));
            problems.extend(files::check(self, menu, &evidence)?);
        }
        let mut check = BootCheck::new(problems);
        room::make(self, menu.as_ref(), &mut check)?;
        Ok(check)
    }

    /// Carries out what [`check_boot`](Self::check_boot) has planned, if it would plan the same now. Gives what is still wrong
    /// afterwards. Where the disk has no room for the lock's file it may be called without the lock.
    #[context("Repairing the way from the boot loader to the deployments")]
    pub fn repair_boot(&self, _lock: Option<&Lock>, planned: &BootCheck) -> Result<BootCheck> {
        let now = self.check_boot()?;
        anyhow::ensure!(now == *planned, "Something has changed since this was planned; try again");
        if let Some(no_room) = &now.no_room {
            return Err(no_room.clone().into());
        }
        if !now.repair.is_empty() {
            self.release_reserve();
        }
        apply::run(self, &now.repair)?;
        if !now.repair.is_empty() {
            self.touch()?;
        }
        self.check_boot()
    }
}
