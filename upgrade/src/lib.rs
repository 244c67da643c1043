// SPDX-License-Identifier: MIT OR Apache-2.0
//! Upgrading: from a deployment's origin to a newer deployment.
//!
//! ```text
//! origin    what the merge deployment follows, or what is followed from now on
//! pull      the newest commit, or the one that was asked for     not with a ref of the system's own repository
//! check     is it another commit, and not an older one
//! deploy    at once, or staged for shutdown
//! ```
//!
//! The merge deployment is the one whose configuration is taken over: the running system, else the default.
#![forbid(unsafe_code)]

mod end_of_life;
mod origin;
mod pull;

use anyhow::Result;
use formats::Checksum;
use repo::Refspec;
use sysroot::deploy::{DeployOptions, Deployed, StagedDeployment};
use sysroot::{Deployment, Loaded, Lock, Plan, Request, Selinux, Sysroot};

pub use end_of_life::EndOfLife;
pub use origin::{NewOrigin, set_origin};

/// What to upgrade to, and how.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The stateroot; of a running system its own is the default.
    pub stateroot: Option<String>,
    /// What to follow from now on, `REMOTE:BRANCH`, `REMOTE:` or `BRANCH`; without, what the origin says.
    pub switch_to: Option<String>,
    /// Also take a commit that is older than the present one.
    pub allow_downgrade: bool,
    /// This commit instead of the newest.
    pub override_commit: Option<Checksum>,
    /// What happens besides deploying at once.
    pub steps: Steps,
    /// What to do about SELinux.
    pub selinux: Selinux,
}

/// Which steps are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Steps {
    /// Pull, and deploy at once.
    #[default]
    Deploy,
    /// Pull, and deploy at shutdown.
    Stage,
    /// Pull only.
    PullOnly,
    /// Deploy what was pulled earlier.
    DeployOnly,
    /// Deploy what was pulled earlier at shutdown.
    StageOnly,
}

/// Why nothing can be upgraded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpgradeError {
    /// No stateroot was named, and the running system has none.
    #[error("Not currently booted into an OSTree system and no OS specified")]
    NotBooted,
    /// There is nothing to start from.
    #[error("No previous deployment for OS '{0}'")]
    NoDeployment(String),
    /// The deployment has no origin file.
    #[error("No origin known for deployment {0}: {0}.origin beside it is missing or cannot be read")]
    NoOrigin(String),
    /// The origin says that somebody has to do something first.
    #[error("origin unconfigured-state: {0}")]
    Unconfigured(String),
    /// The origin follows nothing.
    #[error("No origin/refspec in current deployment origin; cannot upgrade via ostree")]
    NoRefspec,
    /// Switching to what is followed already.
    #[error("Old and new refs are equal: {0}")]
    SameRef(String),
    /// Commits that send each other on.
    #[error("The end of life of {0} leads back to itself")]
    RebaseLoop(String),
}

/// What was done.
#[derive(Debug)]
pub struct Upgraded {
    /// The outcome.
    pub outcome: Outcome,
    /// What is followed now.
    pub refspec: String,
    /// What the commits on the way say about their end.
    pub ends: Vec<EndOfLife>,
    /// The ref of a remote that nothing follows any more, and that was removed.
    pub deleted_ref: Option<String>,
}

/// The outcome of an upgrade.
#[derive(Debug)]
pub enum Outcome {
    /// The deployment has the newest commit.
    Unchanged,
    /// There is another commit, and it was pulled.
    Pulled(Checksum),
    /// It was deployed.
    Deployed(Box<Deployed>),
    /// It was staged.
    Staged(Box<StagedDeployment>),
}

/// Upgrades, or switches to something else.
///
/// Errors: [`UpgradeError`]; [`repo::RemoteError`], [`transport::UrlError`] and [`transport::Downgrade`] from
/// pulling; a failure leaves the deployments as they were.
pub fn upgrade(sysroot: &Sysroot, lock: &Lock, options: &Options) -> Result<Upgraded> {
    let Found { wanted, refspec, old, ends } = find(sysroot, options)?;
    let refspec_now = refspec.to_string();
    let Some(deploy) = wanted else {
        return Ok(Upgraded { outcome: Outcome::Unchanged, refspec: refspec_now, ends, deleted_ref: None });
    };
    let outcome = match options.steps {
        Steps::PullOnly => Outcome::Pulled(deploy.refspec.parse()?),
        Steps::Deploy | Steps::DeployOnly => Outcome::Deployed(Box::new(sysroot.deploy(lock, &deploy)?)),
        Steps::Stage | Steps::StageOnly => Outcome::Staged(Box::new(sysroot.stage(lock, &deploy, false)?)),
    };
    // The deployments keep their commits by refs of their own. A ref without remote is somebody's branch.
    let forgotten = options.switch_to.is_some() && old.remote.is_some() && old != refspec;
    let deleted_ref = forgotten.then(|| old.to_string());
    if forgotten && sysroot.repo().read_ref(&old)?.is_some() {
        sysroot.repo().delete_ref(&old)?;
    }
    Ok(Upgraded { outcome, refspec: refspec_now, ends, deleted_ref })
}

/// Plans an upgrade to what is in the repository already, or a switch to it; nothing is pulled. `None` where there is
/// nothing to do.
pub fn plan(sysroot: &Sysroot, options: &Options) -> Result<Option<Plan>> {
    let (steps, stages) = match options.steps {
        Steps::Stage | Steps::StageOnly => (Steps::StageOnly, true),
        Steps::Deploy | Steps::PullOnly | Steps::DeployOnly => (Steps::DeployOnly, false),
    };
    let found = find(sysroot, &Options { steps, ..options.clone() })?;
    let Some(options) = found.wanted else { return Ok(None) };
    let request = match stages {
        true => Request::Stage { options, locked: false },
        false => Request::Deploy(options),
    };
    sysroot.plan(&request).map(Some)
}

/// What an upgrade has come upon.
struct Found {
    /// What to deploy, if there is something new.
    wanted: Option<DeployOptions>,
    /// What is followed now.
    refspec: Refspec,
    /// What was followed before.
    old: Refspec,
    ends: Vec<EndOfLife>,
}

/// Pulls, and finds out what is to be deployed.
fn find(sysroot: &Sysroot, options: &Options) -> Result<Found> {
    let loaded = sysroot.load()?;
    let merge = merge_deployment(&loaded, options.stateroot.as_deref())?;
    let old = origin::followed(merge, options.switch_to.is_some())?;
    let mut refspec = match &options.switch_to {
        Some(text) => origin::switched(sysroot, &old, text)?,
        None => old.clone(),
    };
    let mut ends = Vec::new();
    let mut seen = vec![refspec.clone()];
    let commit = loop {
        let commit = pull::newest(sysroot, &refspec, options)?;
        let Some(end) = EndOfLife::of(sysroot.repo(), &refspec, &commit)? else { break commit };
        let next = end.successor.clone();
        ends.push(end);
        match next {
            None => break commit,
            Some(next) if seen.contains(&next) => {
                return Err(UpgradeError::RebaseLoop(next.to_string()).into());
            }
            Some(next) => {
                seen.push(next.clone());
                refspec = next;
            }
        }
    };
    let switched = options.switch_to.is_some();
    if commit == merge.path.checksum && !switched {
        return Ok(Found { wanted: None, refspec, old, ends });
    }
    if !options.allow_downgrade && !switched {
        transport::check_not_older(sysroot.repo(), &merge.path.checksum, sysroot.repo(), &commit)?;
    }
    let wanted = DeployOptions {
        stateroot: Some(merge.path.stateroot.clone()),
        origin: Some(origin::changed(&merge.origin, &refspec, options.override_commit.as_ref())),
        selinux: options.selinux,
        ..DeployOptions::new(&commit.to_string())
    };
    Ok(Found { wanted: Some(wanted), refspec, old, ends })
}

/// The deployment that an upgrade starts from.
fn merge_deployment<'a>(loaded: &'a Loaded, stateroot: Option<&str>) -> Result<&'a Deployment, UpgradeError> {
    let all = &loaded.deployments;
    let booted = all.iter().find(|d| d.booted);
    let stateroot = match (stateroot, booted) {
        (Some(name), _) => name,
        (None, Some(booted)) => &booted.path.stateroot,
        (None, None) => return Err(UpgradeError::NotBooted),
    };
    let own = || all.iter().filter(|d| d.path.stateroot == stateroot && !d.staged);
    own()
        .find(|d| d.booted)
        .or_else(|| own().next())
        .ok_or_else(|| UpgradeError::NoDeployment(stateroot.to_owned()))
}
