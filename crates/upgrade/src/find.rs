// SPDX-License-Identifier: MIT OR Apache-2.0
//! The findings that an upgrade is decided by.

use anyhow::Result;
use deploy::DeployOptions;
use formats::Checksum;
use repo::Refspec;
use sysroot::{Deployment, Loaded, Sysroot};

use crate::{EndOfLife, Options, Steps, UpgradeError, origin, pull};

/// The findings of an upgrade before it deploys.
pub(crate) struct Found {
    /// The deployment to make, if there is something new.
    pub(crate) wanted: Option<DeployOptions>,
    /// The refspec that is followed now.
    pub(crate) refspec: Refspec,
    /// The refspec that was followed before.
    pub(crate) old: Refspec,
    /// The refspecs that were looked up on the way, and the commit of each.
    pub(crate) commits: Vec<(Refspec, Checksum)>,
    pub(crate) ends: Vec<EndOfLife>,
}

impl Found {
    /// Gives the ref that nothing follows any more after a switch. The deployments keep their commits by refs of their own;
    /// a ref without remote is somebody's branch.
    pub(crate) fn forgotten(&self, options: &Options) -> Option<&Refspec> {
        let deploys = options.steps != Steps::PullOnly;
        let is_forgotten =
            deploys && options.switch_to.is_some() && self.old.remote.is_some() && self.old != self.refspec;
        is_forgotten.then_some(&self.old)
    }
}

/// Pulls, and finds out what is to be deployed.
pub(crate) fn find(sysroot: &Sysroot, options: &Options) -> Result<Found> {
    let loaded = sysroot.load()?;
    let merge = merge_deployment(&loaded, options.stateroot.as_deref())?;
    let (old, mut refspec) = followed(sysroot, merge, options)?;
    let mut ends = Vec::new();
    let mut commits = Vec::new();
    let commit = loop {
        let commit = pull::newest(sysroot, &refspec, options, &merge.path.checksum)?;
        commits.push((refspec.clone(), commit));
        let Some(end) = EndOfLife::of(sysroot.repo(), &refspec, &commit)? else { break commit };
        let next = end.successor.clone();
        ends.push(end);
        match next {
            None => break commit,
            Some(next) if commits.iter().any(|(seen, _)| *seen == next) => {
                return Err(UpgradeError::RebaseLoop(next.to_string()).into());
            }
            Some(next) => refspec = next,
        }
    };
    let switched = options.switch_to.is_some();
    if commit == merge.path.checksum && !switched {
        return Ok(Found { wanted: None, refspec, old, commits, ends });
    }
    if !options.allow_downgrade && !switched {
        transport::check_not_older(sysroot.repo(), &merge.path.checksum, sysroot.repo(), &commit)?;
    }
    let wanted = DeployOptions {
        stateroot: Some(merge.path.stateroot.clone()),
        origin: Some(origin::changed(&merge.origin, &refspec, options.override_commit.as_ref())),
        selinux: options.selinux,
        ignore: options.ignore.clone(),
        ..DeployOptions::new(&commit.to_string())
    };
    Ok(Found { wanted: Some(wanted), refspec, old, commits, ends })
}

/// Gives the refspec that is looked up first.
pub(crate) fn first(sysroot: &Sysroot, options: &Options) -> Result<Refspec> {
    let loaded = sysroot.load()?;
    let merge = merge_deployment(&loaded, options.stateroot.as_deref())?;
    Ok(followed(sysroot, merge, options)?.1)
}

/// Gives the refspec that was followed before, and the one that is followed now.
fn followed(sysroot: &Sysroot, merge: &Deployment, options: &Options) -> Result<(Refspec, Refspec)> {
    let old = origin::followed(merge, options.switch_to.is_some())?;
    let new = match &options.switch_to {
        Some(text) => origin::switched(sysroot, &old, text)?,
        None => old.clone(),
    };
    Ok((old, new))
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
