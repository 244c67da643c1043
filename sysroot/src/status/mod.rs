// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `admin status` says: which deployments there are, which one the next boot starts and why, and what deserves a
//! look. It reads only, and takes no lock: it must work where nothing else does any more.
//!
//! The keys of the JSON form are described in `docs/status.md`; a test compares.

mod loader;
mod next_boot;
mod notes;
mod text;

use anyhow::Result;
use formats::object::Commit;
use rustix::fs::{AtFlags, CWD, StatxFlags};
use serde::Serialize;

pub use next_boot::{NextBoot, Reason};
pub use notes::{Note, Topic};

use crate::deployment::Deployment;
use crate::labels;
use crate::load::Loaded;
use crate::reorder::Which;
use crate::sysroot::{Sysroot, stated};

/// Where `unlock` of the C tools leaves word of what lasts until the next boot.
pub(crate) const RUN_STATE_OF_DEPLOYMENTS: &str = "/run/ostree/deployment-state";

/// The deployments of a sysroot, in the order of the boot menu.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Status {
    /// Raised when a key changes its meaning or goes; new keys do not raise it.
    pub schema: u32,
    /// One row a deployment.
    pub deployments: Vec<Row>,
    /// What the next boot starts.
    pub next_boot: NextBoot,
    /// What deserves a look.
    pub notes: Vec<Note>,
}

/// One deployment. The first group of keys is that of the C tools. What is not known is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Row {
    /// The commit.
    pub checksum: String,
    /// The operating system's state directory.
    pub stateroot: String,
    /// What upgrades follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refspec: Option<String>,
    /// The deploy serial.
    pub serial: u32,
    /// The place in the list, which is what other commands call it by.
    pub index: usize,
    /// Whether it is the running system.
    pub booted: bool,
    /// Whether it is in front of the running system.
    pub pending: bool,
    /// Whether it is what one would go back to.
    pub rollback: bool,
    /// Whether it goes on waiting at shutdown.
    pub finalization_locked: bool,
    /// Whether a soft reboot leads to it: never, these tools do not prepare one.
    pub soft_reboot_target: bool,
    /// Whether it waits for shutdown to be finalized.
    pub staged: bool,
    /// Whether cleanup keeps it.
    pub pinned: bool,
    /// How its `/usr` is writable: `none`, `development`, `transient` or `hotfix`.
    pub unlocked: &'static str,
    /// The version that the commit states.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What the commit says it was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_title: Option<String>,

    /// Checksum over kernel, initramfs and device trees.
    pub boot_checksum: String,
    /// The kernel arguments, `ostree=` included.
    pub kernel_args: String,
    /// When the commit says it was made, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit_time: Option<u64>,
    /// When its directory was made, in seconds since 1970; for a staged one, when it was staged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deploy_time: Option<u64>,

    /// Whether it runs and is not in the boot menu; the next change of the menu makes it a part of that.
    pub unlisted: bool,

    /// Whether it has an origin file.
    #[serde(skip)]
    pub has_origin: bool,
}

impl Status {
    /// Whether the running system is the first in the list.
    pub fn booted_is_default(&self) -> bool {
        self.deployments.first().is_some_and(|row| row.booted)
    }
}

impl Sysroot {
    /// Looks at everything that a status tells.
    pub fn status(&self) -> Result<Status> {
        let loaded = self.look()?;
        let failure = self.last_failure(&loaded);
        let told = loaded.staged.as_ref().and_then(|_| self.told_failure(&loaded));
        let left_behind = self.etc_left_behind(&loaded).unwrap_or_default();
        let places = (loaded.find(Which::Pending), loaded.find(Which::Rollback));
        let rows = loaded.deployments.iter().enumerate();
        let mut notes = notes::of(&loaded, failure.as_deref(), told.as_deref(), &left_behind);
        notes.extend(self.etc_conflict_notes(&loaded));
        notes.extend(labels::refresh_notes(self, &loaded));
        notes.extend(self.loader_note(&loaded));
        Ok(Status {
            schema: 1,
            deployments: rows.map(|(index, d)| self.row(&loaded, index, d, places)).collect(),
            next_boot: NextBoot::of(&loaded, failure.is_some()),
            notes,
        })
    }

    fn row(
        &self,
        loaded: &Loaded,
        index: usize,
        d: &Deployment,
        (pending, rollback): (Option<usize>, Option<usize>),
    ) -> Row {
        let commit = self.repo().load_commit(&d.path.checksum).ok();
        let says = |key| commit.as_ref().and_then(|commit| stated(commit, key));
        let refspec = d.origin.refspec();
        Row {
            checksum: d.path.checksum.to_string(),
            stateroot: d.path.stateroot.clone(),
            serial: d.path.deploy_serial,
            index,
            booted: d.booted,
            pending: pending == Some(index),
            rollback: rollback == Some(index),
            finalization_locked: d.staged && loaded.staged.as_ref().is_some_and(|record| record.locked),
            soft_reboot_target: false,
            staged: d.staged,
            pinned: d.origin.pinned(),
            unlocked: unlocked(loaded, d),
            version: says("version"),
            source_title: says("ostree.source-title"),
            boot_checksum: d.boot_checksum.to_string(),
            kernel_args: d.kernel_args().to_string(),
            commit_time: commit.as_ref().map(|commit: &Commit| commit.timestamp),
            deploy_time: self.made_at(d),
            unlisted: d.unlisted,
            has_origin: refspec.is_some() || self.is_there(&format!("{}.origin", d.path)),
            refspec,
        }
    }

    /// When the directory of a deployment was made, where the file system keeps such a thing.
    fn made_at(&self, d: &Deployment) -> Option<u64> {
        let path = d.path.to_string();
        let found = rustix::fs::statx(self.root(), path, AtFlags::empty(), StatxFlags::BTIME).ok()?;
        let kept = StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::BTIME);
        kept.then(|| u64::try_from(found.stx_btime.tv_sec).ok()).flatten()
    }

    fn is_there(&self, path: &str) -> bool {
        rustix::fs::statat(self.root(), path, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }
}

/// How a deployment's `/usr` is writable. Only a hotfix outlives a boot, so the origin says nothing but that.
pub(crate) fn unlocked(loaded: &Loaded, d: &Deployment) -> &'static str {
    let until_next_boot = |how: &str| {
        let flag = format!("{RUN_STATE_OF_DEPLOYMENTS}/{}/unlocked-{how}", d.path.name());
        loaded.is_running_system && rustix::fs::statat(CWD, flag, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    };
    match ["development", "transient"].into_iter().find(|how| until_next_boot(how)) {
        Some(how) => how,
        None if d.origin.unlocked().as_deref() == Some("hotfix") => "hotfix",
        None => "none",
    }
}
