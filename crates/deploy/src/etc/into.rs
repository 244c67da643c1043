// SPDX-License-Identifier: MIT OR Apache-2.0
//! Carrying later edits of one `/etc` into that of another deployment, which was merged before or has run before; and what
//! the merge at shutdown would do.

use std::fmt;
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::Result;
use durable::kind_of;
use etc_merge::{Item, Outcome, Plan, Source, Step as EtcStep, Target, What};
use fn_error_context::context;
use formats::bootlink::DeploymentPath;
use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};
use sysroot::backing::path_of;
use sysroot::etc::conflicts::RECORD;
use sysroot::{Deployment, Loaded, Lock, Sysroot, Which, directory};

use super::conflicts;
use super::merge::{Sides, refuse};
use super::policies::Moment;
use crate::backing;
use crate::plan::Step;

/// Raised when a key of the JSON form changes its meaning or goes; new keys and steps do not raise it.
const SCHEMA: u32 = 1;

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
    /// Each stateroot has an `/etc` of its own.
    #[error("{0} is of another stateroot, whose /etc has nothing to do with this one's")]
    OtherStateroot(DeploymentPath),
    /// It will be merged anyway.
    #[error("deployment {0} is staged: the shutdown carries over all changes of /etc")]
    Staged(usize),
    /// The running system uses its `/etc`.
    #[error("deployment {0} is the running system, whose /etc is not changed under it")]
    Booted(usize),
}

/// The two deployments of a merge of `/etc`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EtcMerge {
    /// The index of the deployment that has the edits; the running system by default.
    pub from: Option<usize>,
    /// The index of the deployment that gets them; the staged or pending one by default.
    pub into: Option<usize>,
}

/// The changes that are carried over, path by path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcPlan {
    /// The deployment that has the edits.
    pub from: DeploymentPath,
    /// The deployment that gets them.
    pub into: DeploymentPath,
    /// Whether all of it is merged anyway, at shutdown; else only what is not there yet is in the plan.
    pub at_shutdown: bool,
    /// The plan.
    pub plan: Plan,
    /// The steps that are carried out now, in this order; of what is merged at shutdown none.
    pub steps: Vec<Step>,
}

/// Decides what carrying edits of `/etc` into another deployment means, without changing anything.
#[context("Planning the merge of /etc")]
pub fn plan_etc_merge(sysroot: &Sysroot, which: EtcMerge) -> Result<EtcPlan> {
    let loaded = sysroot.load()?;
    let (from, into) = which.find(&loaded)?;
    let sides = sides(sysroot, from, into)?;
    let plan = Plan::new(&sides.trees(), &sides.policies)?;
    let at_shutdown = into.staged;
    if at_shutdown {
        let (from, into) = (from.path.clone(), into.path.clone());
        return Ok(EtcPlan { from, into, at_shutdown, plan, steps: Vec::new() });
    }
    EtcPlan::now(sysroot, from, into, &sides, plan)
}

/// Carries edits of `/etc` that are not there yet into another deployment; where that has edits of its own, the ones that
/// are carried over win. A power cut leaves the old or the new of each file.
#[context("Merging /etc")]
pub fn merge_etc_into(lock: &Lock<'_>, which: EtcMerge) -> Result<EtcPlan> {
    let sysroot = lock.sysroot();
    let loaded = sysroot.load()?;
    let (from, into) = which.find(&loaded)?;
    let index = loaded.deployments.iter().position(|d| d.path == into.path).unwrap_or_default();
    if into.staged {
        return Err(IntoError::Staged(index).into());
    }
    if into.booted {
        return Err(IntoError::Booted(index).into());
    }
    let sides = sides(sysroot, from, into)?;
    let trees = sides.trees();
    let planned = EtcPlan::now(sysroot, from, into, &sides, Plan::new(&trees, &sides.policies)?)?;
    let plan = &planned.plan;
    refuse(plan)?;
    let report = plan.apply(&trees, sides.target.as_fd(), Target::InUse)?;
    selinux::label_merged(directory::open(sysroot.root(), &into.path.to_string())?.as_fd(), None);
    conflicts::add(sysroot, &into.path, &conflicts::all(plan, &report))?;
    durable::sync_fs(sysroot.root())?;
    Ok(planned)
}

impl EtcPlan {
    /// Plans what is carried over at once: what is not there yet.
    fn now(
        sysroot: &Sysroot,
        from: &Deployment,
        into: &Deployment,
        sides: &Sides,
        plan: Plan,
    ) -> Result<Self> {
        let trees = sides.trees();
        let plan = plan.not_done_in(sides.target.as_fd(), &trees)?;
        let (from, into) = (from.path.clone(), into.path.clone());
        let at = |path: &Path| format!("/{into}/etc/{}", path.display());
        let of = |step: EtcStep| match step {
            EtcStep::Copy { from: tree, source, path, is_directory } => {
                let top = match tree {
                    Source::Local => format!("/{from}/etc"),
                    Source::New => format!("/{into}/usr/etc"),
                };
                let from = format!("{top}/{}", source.display());
                match is_directory {
                    true => Step::MergeEtc { from, to: at(&path) },
                    false => Step::Copy { from, to: at(&path), bytes: None },
                }
            }
            EtcStep::MakeDirectory(path) => Step::MakeDirectory { path: at(&path) },
            EtcStep::Remove(path) => Step::Remove { path: at(&path) },
            EtcStep::SetTimes(path) => Step::Notify { path: at(&path) },
        };
        let mut steps: Vec<Step> = plan.steps(&trees, sides.target.as_fd())?.into_iter().map(of).collect();
        if kind_of(&sides.target, "selinux").is_ok_and(|kind| kind.is_some()) {
            steps.push(Step::Label { path: format!("/{into}/etc") });
        }
        if plan.conflicts().next().is_some() {
            let missing = backing::missing(sysroot, &into)?;
            steps.extend(missing.into_iter().map(|path| Step::MakeDirectory { path }));
        }
        steps.push(Step::Record { path: format!("/{}/{}", path_of(&into), RECORD) });
        steps.push(Step::Sync { path: "/".to_owned() });
        Ok(Self { from, into, at_shutdown: false, plan, steps })
    }
}

fn sides(sysroot: &Sysroot, from: &Deployment, into: &Deployment) -> Result<Sides> {
    let open = |d: &Deployment| directory::open(sysroot.root(), &d.path.to_string());
    let (old, new) = (open(from)?, open(into)?);
    Sides::open(old.as_fd(), new.as_fd(), Moment::Asked)
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

/// Gives the change of each side as a letter of `config-diff`: the local one, then the update.
fn letters(item: &Item) -> String {
    let letter = |what: Option<What>| what.map_or('-', What::letter);
    format!("{}{}", letter(item.local), letter(item.update))
}

impl Serialize for EtcPlan {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut plan = to.serialize_struct("EtcPlan", 7)?;
        plan.serialize_field("schema", &SCHEMA)?;
        plan.serialize_field("operation", "etc-merge")?;
        plan.serialize_field("from", &self.from.to_string())?;
        plan.serialize_field("into", &self.into.to_string())?;
        plan.serialize_field("at-shutdown", &self.at_shutdown)?;
        plan.serialize_field("paths", &self.plan.items.iter().map(Row::of).collect::<Vec<_>>())?;
        plan.serialize_field("steps", &self.steps)?;
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
