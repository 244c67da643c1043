// SPDX-License-Identifier: MIT OR Apache-2.0
//! The record of conflicts in `/etc`, beside the deployment, so that somebody sees it who was not there when it was merged.

use std::fmt;
use std::fs::File;
use std::io::Read;

use anyhow::{Context, Result};
use fn_error_context::context;
use formats::bootlink::DeploymentPath;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::backing;
use crate::denied::is_denied;
use crate::load::Loaded;
use crate::status::note::{Note, Topic};
use crate::sysroot::Sysroot;

/// The file in the backing directory of a deployment, which goes with it.
pub const RECORD: &str = "etc-conflicts.json";

/// A path of `/etc` that was changed both locally and by the update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct EtcConflict {
    /// From the root; what is no text in it is replaced.
    pub path: String,
    /// The side that is there now.
    pub side: Side,
    /// Why it is not what the policy says, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// The side of a conflict that is in the merged `/etc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The administrator's version.
    Local,
    /// The update's.
    New,
    /// The administrator's, and the update's beside it with `.new` at the end of its name.
    Both,
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

/// Sums conflicts up in one line; `None` if there are none.
pub fn summary(conflicts: &[EtcConflict]) -> Option<String> {
    /// More names than this nobody reads in one line.
    const NAMED: usize = 3;
    let named: Vec<_> = conflicts.iter().take(NAMED).map(ToString::to_string).collect();
    let more = match conflicts.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; {more} more"),
    };
    (!named.is_empty()).then(|| format!("changed both locally and by the update: {}{more}", named.join("; ")))
}

/// The contents of the record.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    /// In the order of their paths.
    pub conflicts: Vec<EtcConflict>,
}

impl Sysroot {
    /// Reads the recorded conflicts of the merge of a deployment's `/etc`.
    ///
    /// # Errors
    ///
    /// The record is there and cannot be read or parsed.
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

    /// Describes them for a status: of the running system and of the deployment that is booted next.
    pub(crate) fn etc_conflict_notes(&self, loaded: &Loaded, not_known: &mut Vec<String>) -> Vec<Note> {
        let interesting = |(index, d): &(usize, &crate::Deployment)| *index == 0 || d.booted;
        let note = |(index, d): (usize, &crate::Deployment)| {
            let text = match self.etc_conflicts(&d.path) {
                Ok(conflicts) => summary(&conflicts)?,
                Err(error) if is_denied(&error) => {
                    not_known.push("conflicts in /etc".to_owned());
                    return None;
                }
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
