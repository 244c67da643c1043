// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where local changes and an update have met: written down beside the deployment, so that somebody sees it who was not there
//! when it was merged.

use std::fmt;
use std::fs::File;
use std::io::Read;

use anyhow::{Context, Result};
use etc_merge::{Item, Plan, Report};
use fn_error_context::context;
use formats::bootlink::DeploymentPath;
use formats::etc_policy::Policy;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::journal;
use crate::load::Loaded;
use crate::status::{Note, Topic};
use crate::sysroot::Sysroot;
use crate::{backing, directory};

/// The file in the backing directory of a deployment, which goes with it.
const RECORD: &str = "etc-conflicts.json";

/// A path of `/etc` that was changed both locally and by the update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct EtcConflict {
    /// From the root; what is no text in it is replaced.
    pub path: String,
    /// Whose side is there now.
    pub side: Side,
    /// Why it is not what the policy says, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Whose side of a conflict is in the merged `/etc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// What the administrator made of it.
    Local,
    /// The update's.
    New,
    /// The administrator's, and the update's beside it with `.new` at the end of its name.
    Both,
}

impl EtcConflict {
    /// Those of a plan that was applied.
    pub(super) fn all(plan: &Plan, report: &Report) -> Vec<Self> {
        let text = |path: &std::path::Path| format!("/etc/{}", path.display());
        let has_place = |item: &&Item| !report.clashes.iter().any(|clash| clash.path == item.path);
        let decided = plan.conflicts().filter(has_place).map(|item| Self {
            path: text(&item.path),
            side: Side::of(item),
            why: (item.policy == Some(Policy::Fail))
                .then(|| "the policy `fail` cannot stop a shutdown".to_owned()),
        });
        let clashes = report.clashes.iter().map(|clash| Self {
            path: text(&clash.path),
            side: Side::New,
            why: Some(clash.why.to_owned()),
        });
        let mut all: Vec<_> = decided.chain(clashes).collect();
        all.sort_by(|a, b| a.path.cmp(&b.path));
        all
    }
}

impl Side {
    fn of(item: &Item) -> Self {
        match item.policy {
            Some(Policy::TakeNew) => Self::New,
            Some(Policy::KeepBoth) => Self::Both,
            _ => Self::Local,
        }
    }
}

impl fmt::Display for EtcConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, side, why } = self;
        match side {
            Side::Local => write!(f, "{path}: the local change stays")?,
            Side::New => write!(f, "{path}: the local change is not carried over")?,
            Side::Both => write!(f, "{path}: the local change stays, and the new default is {path}.new")?,
        }
        why.as_ref().map_or(Ok(()), |why| write!(f, ": {why}"))
    }
}

/// What somebody should look at, in one line; nothing if there is nothing.
pub(crate) fn summary(conflicts: &[EtcConflict]) -> Option<String> {
    /// More names than this nobody reads in one line.
    const NAMED: usize = 3;
    let named: Vec<_> = conflicts.iter().take(NAMED).map(ToString::to_string).collect();
    let more = match conflicts.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; {more} more"),
    };
    (!named.is_empty()).then(|| format!("changed both locally and by the update: {}{more}", named.join("; ")))
}

#[derive(Serialize, Deserialize)]
struct Record {
    conflicts: Vec<EtcConflict>,
}

/// Writes down the conflicts of a deployment, whose backing directory is there. Nothing is synced; see
/// [`Target::Fresh`](etc_merge::Target).
pub(crate) fn write_down(sysroot: &Sysroot, path: &DeploymentPath, conflicts: &[EtcConflict]) -> Result<()> {
    conflicts.iter().for_each(|conflict| journal::etc_conflict(path, conflict));
    write(sysroot, path, conflicts)
}

#[context("Writing down the conflicts in /etc")]
fn write(sysroot: &Sysroot, path: &DeploymentPath, conflicts: &[EtcConflict]) -> Result<()> {
    let dir = directory::open(sysroot.root(), &backing::path_of(path))?;
    if conflicts.is_empty() {
        return match rustix::fs::unlinkat(&dir, RECORD, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        };
    }
    let text = serde_json::to_string_pretty(&Record { conflicts: conflicts.to_vec() })?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&dir, RECORD, flags, Mode::from_raw_mode(0o600))?;
    Ok(std::io::Write::write_all(&mut File::from(file), text.as_bytes())?)
}

/// As [`write_down`], beside what was written down before of other paths, which stays true.
pub(super) fn add(sysroot: &Sysroot, path: &DeploymentPath, conflicts: &[EtcConflict]) -> Result<()> {
    if conflicts.is_empty() {
        return Ok(());
    }
    conflicts.iter().for_each(|conflict| journal::etc_conflict(path, conflict));
    let mut all = sysroot.etc_conflicts(path).unwrap_or_default();
    all.retain(|old| !conflicts.iter().any(|new| new.path == old.path));
    all.extend(conflicts.iter().cloned());
    backing::create(sysroot, path)?;
    write(sysroot, path, &all)
}

impl Sysroot {
    /// Where local changes and the update have met when the `/etc` of a deployment was merged, as far as it is written down.
    #[context("Reading the conflicts in /etc of {path}")]
    pub fn etc_conflicts(&self, path: &DeploymentPath) -> Result<Vec<EtcConflict>> {
        let name = format!("{}/{RECORD}", backing::path_of(path));
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(self.root(), &name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut text = Vec::new();
        File::from(file).read_to_end(&mut text)?;
        let record: Record = serde_json::from_slice(&text).with_context(|| format!("/{name}"))?;
        Ok(record.conflicts)
    }

    /// What a status says of them: for the running system and for what is booted next.
    pub(crate) fn etc_conflict_notes(&self, loaded: &Loaded) -> Vec<Note> {
        let interesting = |(index, d): &(usize, &crate::Deployment)| *index == 0 || d.booted;
        let note = |(index, d): (usize, &crate::Deployment)| {
            let text = match self.etc_conflicts(&d.path) {
                Ok(conflicts) => summary(&conflicts)?,
                Err(error) => format!("{error:#}"),
            };
            let text = format!(
                "in /etc of deployment {index}: {text} (`ostree admin etc-merge --conflicts {index}`)"
            );
            Some(Note { topic: Topic::EtcConflicts, text })
        };
        loaded.deployments.iter().enumerate().filter(interesting).filter_map(note).collect()
    }
}
