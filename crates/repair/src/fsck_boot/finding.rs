// SPDX-License-Identifier: MIT OR Apache-2.0
//! The findings of a check, and the steps of a repair, as plain data.

use std::fmt;

use bootloader::megabytes;
use serde::Serialize;

/// The outcome of a check of the boot chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct BootCheck {
    /// Raised when a key changes its meaning or goes; new keys do not raise it.
    pub schema: u32,
    /// The faults, from the loader to the deployments.
    pub problems: Vec<Problem>,
    /// All that a repair does, in its order.
    pub repair: Vec<Action>,
    /// Why the repair cannot be made before something is removed by hand.
    pub no_room: Option<NoRoom>,
    /// After a repair: why a boot loader may still see what was there before it, until the next reboot. That stays, as `.ostree-repair-NAME.old`.
    pub unproven: Option<String>,
}

/// A fault in the boot chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Problem {
    /// The part that is faulty.
    pub topic: Topic,
    /// Its path, from the root.
    pub path: String,
    /// The fault, in one line.
    pub text: String,
    /// The steps that mend it; none where a person has to.
    pub repair: Vec<Action>,
    /// The work of a person, where no program can mend it.
    pub by_hand: Option<String>,
}

/// The part of the boot chain that is faulty.
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
    /// Removes something that nothing needs, with all that is in it.
    Remove {
        /// Its path.
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
        /// Its target.
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
    pub(super) fn new(topic: Topic, path: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into().replace('\n', " ");
        Self { topic, path: path.into(), text, repair: Vec::new(), by_hand: None }
    }

    pub(super) fn mended_by(mut self, action: Action) -> Self {
        self.repair.push(action);
        self
    }

    pub(super) fn by_hand(mut self, what: impl Into<String>) -> Self {
        self.by_hand = Some(what.into());
        self
    }
}

impl BootCheck {
    /// Tells whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    pub(super) fn new(problems: Vec<Problem>) -> Self {
        let mut repair: Vec<Action> = Vec::new();
        for action in problems.iter().flat_map(|problem| &problem.repair) {
            if !repair.contains(action) {
                repair.push(action.clone());
            }
        }
        // Of one kind they stay in the order in which they were found.
        repair.sort_by_key(kind);
        Self { schema: 1, problems, repair, no_room: None, unproven: None }
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

/// A repair that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub struct NoRoom {
    /// The mount point, from the root: `/` or `/boot`.
    pub place: String,
    /// Bytes that are free.
    pub free: u64,
    /// Bytes that the repair takes.
    pub needed: u64,
    /// Files that can still be made, and that the repair makes.
    pub files: [u64; 2],
    /// The one file whose removal is enough, or helps most.
    pub remove: Option<String>,
}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [free, needed] = [self.free, self.needed].map(megabytes);
        write!(f, "{} has {free} free and the repair needs {needed}: ", self.place)?;
        match &self.remove {
            Some(path) => write!(f, "remove {path} and try again"),
            None => f.write_str("remove a file there that is not of ostree and try again"),
        }
    }
}
