// SPDX-License-Identifier: MIT OR Apache-2.0
//! The contents of `admin status`: the deployments, the one that the next boot starts and why, and what deserves a
//! look. It reads only, and takes no lock: it must work where nothing else does any more.
//!
//! The keys of the JSON form are described in `docs/status.md`; a test compares.

mod loader;
mod next_boot;
pub(crate) mod note;
mod notes;
mod text;

use anyhow::Result;
use formats::object::Commit;
use rustix::fs::{AtFlags, CWD, StatxFlags};
use serde::Serialize;

pub use next_boot::{NextBoot, Reason};
pub use note::{Note, Topic};

use crate::denied::known;
use crate::deployment::Deployment;
use crate::load::{Loaded, STAGED};
use crate::policy_refresh;
use crate::sysroot::{Sysroot, stated};
use crate::which::Which;

/// The directory in which `unlock` marks what lasts until the next boot, as the C tools do.
pub const RUN_STATE_OF_DEPLOYMENTS: &str = "/run/ostree/deployment-state";

/// The deployments of a sysroot, in the order of the boot menu.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Status {
    /// Raised when a key changes its meaning or goes; new keys do not raise it.
    pub schema: u32,
    /// One row a deployment.
    pub deployments: Vec<Row>,
    /// The deployment that the next boot starts.
    pub next_boot: NextBoot,
    /// Notes about what deserves a look.
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
    /// The refspec that upgrades follow.
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pinned: Option<bool>,
    /// How its `/usr` is writable: `none`, `development`, `transient` or `hotfix`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unlocked: Option<&'static str>,
    /// The version that the commit states.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The versions that the commit says it was made from.
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
    /// Looks at everything that a status tells, without a lock.
    ///
    /// # Errors
    ///
    /// The boot entries or the run state cannot be read.
    pub fn status(&self) -> Result<Status> {
        let mut loaded = self.load_lenient()?;
        let mut not_known = std::mem::take(&mut loaded.not_known);
        let failure = self.last_failure(&loaded);
        let failure = known(failure, &mut not_known, || "whether the last finalization failed".to_owned());
        // An unreadable part is told, too: a status goes on.
        let failure = failure.unwrap_or_else(|error| Some(Some(format!("{error:#}")))).flatten();
        let told = loaded.staged.as_ref().and_then(|_| self.told_failure(&loaded));
        let left_behind = known(self.etc_left_behind(&loaded), &mut not_known, || {
            "whether /etc was changed after the deployment that is booted next was made".to_owned()
        });
        let left_behind = left_behind.ok().flatten().unwrap_or_default();
        let places = (loaded.find(Which::Pending), loaded.find(Which::Rollback));
        let rows = loaded.deployments.iter().enumerate();
        let mut notes = notes::of(&loaded, failure.as_deref(), told.as_deref(), &left_behind);
        notes.extend(self.etc_conflict_notes(&loaded, &mut not_known));
        notes.extend(policy_refresh::notes(self, &loaded, &mut not_known));
        let loader = known(self.loader_note(&loaded), &mut not_known, || {
            "whether the boot loader boots what is listed".to_owned()
        });
        notes.extend(loader.ok().flatten().flatten());
        let next_boot = NextBoot::of(&loaded, failure.is_some(), not_known.iter().any(|what| what == STAGED));
        notes.extend(notes::not_known(&loaded, not_known));
        Ok(Status {
            schema: 1,
            deployments: rows.map(|(index, d)| self.row(&loaded, index, d, places)).collect(),
            next_boot,
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
            pinned: d.origin_problem.is_none().then(|| d.origin.pinned()),
            // With an origin that says nothing, only what lasts until the next boot is known.
            unlocked: Some(unlocked(loaded, d)).filter(|how| d.origin_problem.is_none() || *how != "none"),
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

/// Tells how a deployment's `/usr` is writable. Only a hotfix outlives a boot, so the origin says nothing but that.
pub fn unlocked(loaded: &Loaded, d: &Deployment) -> &'static str {
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
