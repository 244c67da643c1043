// SPDX-License-Identifier: MIT OR Apache-2.0
//! Carrying later edits of one `/etc` into that of another deployment, which was merged before or has run before; and what
//! the merge at shutdown would do.

use std::fmt;
use std::os::fd::AsFd;

use anyhow::Result;
use etc_merge::{Item, Outcome, Plan, Target, What};
use fn_error_context::context;
use formats::bootlink::DeploymentPath;
use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

use super::conflicts::{self, EtcConflict};
use super::{Moment, Sides, refuse};
use crate::deployment::Deployment;
use crate::load::Loaded;
use crate::lock::Lock;
use crate::reorder::Which;
use crate::sysroot::Sysroot;
use crate::{directory, labels};

/// Why edits cannot be carried over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntoError {
    /// There is nothing to carry from.
    #[error("Not currently booted into an OSTree system: name the deployment whose /etc it is with --from")]
    NotBooted,
    /// There is nothing to carry into.
    #[error("nothing is staged or pending; name a deployment with --into")]
    NothingPending,
    /// There is nothing between them.
    #[error("deployment {0} is what the edits are of: name another one")]
    Same(usize),
    /// What has its `/etc` to itself.
    #[error("{0} is of another stateroot, whose /etc has nothing to do with this one's")]
    OtherStateroot(DeploymentPath),
    /// It will be merged anyway.
    #[error("deployment {0} is staged: the shutdown carries over all changes of /etc")]
    Staged(usize),
    /// What runs uses its `/etc`.
    #[error("deployment {0} is the running system, whose /etc is not changed under it")]
    Booted(usize),
}

/// Whose `/etc` is carried into whose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EtcMerge {
    /// Whose edits; the running system's by default.
    pub from: Option<usize>,
    /// To which deployment; the staged or pending one by default.
    pub into: Option<usize>,
}

/// What is carried over, path by path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcPlan {
    /// Whose edits.
    pub from: DeploymentPath,
    /// To which deployment.
    pub into: DeploymentPath,
    /// Whether all of it is merged anyway, at shutdown; else only what is not there yet is in the plan.
    pub at_shutdown: bool,
    /// The plan.
    pub plan: Plan,
}

impl Sysroot {
    /// Decides what carrying edits of `/etc` into another deployment means, without changing anything.
    #[context("Planning the merge of /etc")]
    pub fn plan_etc_merge(&self, which: EtcMerge) -> Result<EtcPlan> {
        let loaded = self.load()?;
        let (from, into) = which.find(&loaded)?;
        let sides = self.sides(from, into)?;
        let plan = Plan::new(&sides.trees(), &sides.policies)?;
        let at_shutdown = into.staged;
        let plan = if at_shutdown { plan } else { plan.not_done_in(sides.target.as_fd(), &sides.trees())? };
        Ok(EtcPlan { from: from.path.clone(), into: into.path.clone(), at_shutdown, plan })
    }

    /// Carries edits of `/etc` that are not there yet into another deployment; where that has edits of its own, the ones that
    /// are carried over win. A power cut leaves the old or the new of each file.
    #[context("Merging /etc")]
    pub fn merge_etc_into(&self, _lock: &Lock, which: EtcMerge) -> Result<EtcPlan> {
        let loaded = self.load()?;
        let (from, into) = which.find(&loaded)?;
        let index = loaded.deployments.iter().position(|d| d.path == into.path).unwrap_or_default();
        if into.staged {
            return Err(IntoError::Staged(index).into());
        }
        if into.booted {
            return Err(IntoError::Booted(index).into());
        }
        let sides = self.sides(from, into)?;
        let trees = sides.trees();
        let plan = Plan::new(&trees, &sides.policies)?.not_done_in(sides.target.as_fd(), &trees)?;
        refuse(&plan)?;
        let report = plan.apply(&trees, sides.target.as_fd(), Target::InUse)?;
        labels::label_merged(directory::open(self.root(), &into.path.to_string())?.as_fd(), None);
        conflicts::add(self, &into.path, &EtcConflict::all(&plan, &report))?;
        durable::sync_fs(self.root())?;
        Ok(EtcPlan { from: from.path.clone(), into: into.path.clone(), at_shutdown: false, plan })
    }

    fn sides(&self, from: &Deployment, into: &Deployment) -> Result<Sides> {
        let open = |d: &Deployment| directory::open(self.root(), &d.path.to_string());
        let (old, new) = (open(from)?, open(into)?);
        Sides::open(old.as_fd(), new.as_fd(), Moment::Asked)
    }
}

impl EtcMerge {
    fn find(self, loaded: &Loaded) -> Result<(&Deployment, &Deployment)> {
        let from = match self.from {
            Some(index) => loaded.check(index)?,
            None => loaded.find(Which::Booted).ok_or(IntoError::NotBooted)?,
        };
        let into = match self.into {
            Some(index) => loaded.check(index)?,
            None => loaded.find(Which::Pending).ok_or(IntoError::NothingPending)?,
        };
        let both = loaded.deployments.get(from).zip(loaded.deployments.get(into));
        match both {
            Some((from, into)) if from.path.stateroot != into.path.stateroot => {
                Err(IntoError::OtherStateroot(into.path.clone()).into())
            }
            Some(both) if from != into => Ok(both),
            _ => Err(IntoError::Same(into).into()),
        }
    }
}

impl fmt::Display for EtcPlan {
    /// A line a path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for item in &self.plan.items {
            write!(f, "{:<11} {} /etc/{}", item.outcome.word(), letters(item), item.path.display())?;
            match item.policy {
                Some(policy) => writeln!(f, ": {policy}")?,
                None => writeln!(f)?,
            }
        }
        let count = |outcome| self.plan.items.iter().filter(|item| item.outcome == outcome).count();
        let met = count(Outcome::Conflict) + count(Outcome::TypeChange);
        writeln!(
            f,
            "{} kept, {} updated, {} removed, {met} changed on both sides, {} skipped",
            count(Outcome::Kept),
            count(Outcome::Updated),
            count(Outcome::Removed),
            count(Outcome::Skipped),
        )
    }
}

/// What each side did, as `config-diff` has it: the local one, then the update.
fn letters(item: &Item) -> String {
    let letter = |what: Option<What>| what.map_or('-', What::letter);
    format!("{}{}", letter(item.local), letter(item.update))
}

impl Serialize for EtcPlan {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut plan = to.serialize_struct("EtcPlan", 4)?;
        plan.serialize_field("from", &self.from.to_string())?;
        plan.serialize_field("into", &self.into.to_string())?;
        plan.serialize_field("at-shutdown", &self.at_shutdown)?;
        plan.serialize_field("paths", &self.plan.items.iter().map(Row::of).collect::<Vec<_>>())?;
        plan.end()
    }
}

/// A path of the plan, for programs.
#[derive(Serialize)]
struct Row {
    /// From the root; what is no text in it is replaced.
    path: String,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    local: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    update: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'static str>,
}

impl Row {
    fn of(item: &Item) -> Self {
        Self {
            path: format!("/etc/{}", item.path.display()),
            outcome: item.outcome.word(),
            local: item.local.map(What::word),
            update: item.update.map(What::word),
            policy: item.policy.map(|policy| policy.word()),
        }
    }
}
