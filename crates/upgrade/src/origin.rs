// SPDX-License-Identifier: MIT OR Apache-2.0
//! The refspec that a deployment follows, and how that changes.

use anyhow::{Context as _, Result};
use fn_error_context::context;
use formats::Checksum;
use formats::bootlink::DeploymentPath;
use repo::{IfExists, NewRemote, Refspec, Remotes};
use sysroot::{Deployment, Lock, Origin, Sysroot};

use crate::UpgradeError;

const GROUP: &str = "origin";

/// Reads the refspec that the origin of a deployment follows.
///
/// A state that forbids upgrades does not forbid a switch to something else.
pub(crate) fn followed(deployment: &Deployment, switches: bool) -> Result<Refspec> {
    let origin = deployment.known_origin()?;
    if *origin == Origin::default() {
        return Err(UpgradeError::NoOrigin(deployment.path.name()).into());
    }
    if let Some(message) = origin.0.string(GROUP, "unconfigured-state")?.filter(|_| !switches) {
        return Err(UpgradeError::Unconfigured(message).into());
    }
    let refspec = origin.refspec().ok_or(UpgradeError::NoRefspec)?;
    refspec.parse().with_context(|| format!("Reading the origin of {}", deployment.path))
}

/// Completes `text` by `old`, which is followed now: `REMOTE:BRANCH`, `REMOTE:` for the same branch there, or `BRANCH` of
/// the same remote.
pub(crate) fn switched(sysroot: &Sysroot, old: &Refspec, text: &str) -> Result<Refspec> {
    let new = match text.strip_suffix(':') {
        Some(remote) => Refspec { remote: Some(remote.to_owned()), name: old.name.clone() },
        None => {
            let new: Refspec = text.parse()?;
            Refspec { remote: new.remote.or_else(|| old.remote.clone()), name: new.name }
        }
    };
    if new == *old {
        return Err(UpgradeError::SameRef(new.to_string()).into());
    }
    if let Some(remote) = &new.remote {
        Remotes::load(sysroot.repo(), Some(sysroot.path()))?.get(remote)?;
    }
    Ok(new)
}

/// The origin of the new deployment.
pub(crate) fn changed(old: &Origin, refspec: &Refspec, override_commit: Option<&Checksum>) -> Origin {
    let mut file = old.0.clone();
    let text = refspec.to_string();
    if file.string(GROUP, "refspec").ok().flatten().as_ref() != Some(&text) {
        file.set_string(GROUP, "refspec", &text);
        // It was about what is not followed any more.
        file.remove_key(GROUP, "unconfigured-state");
    }
    match override_commit {
        Some(commit) => file.set_string(GROUP, "override-commit", &commit.to_string()),
        None => {
            file.remove_key(GROUP, "override-commit");
        }
    }
    Origin(file)
}

/// The remote and the branch that a deployment is to follow.
#[derive(Debug, Clone)]
pub struct NewOrigin {
    /// The remote, which is added unless there is one of that name.
    pub remote: NewRemote,
    /// The branch; the one that is followed now if none is given.
    pub branch: Option<String>,
}

/// Makes a deployment follow something else, without deploying anything. The rest of its origin stays as it is now, under the lock.
#[context("Setting the origin of {path}")]
pub fn set_origin(lock: &Lock<'_>, path: &DeploymentPath, new: &NewOrigin) -> Result<()> {
    let sysroot = lock.sysroot();
    let loaded = sysroot.load()?;
    let deployment = loaded.deployments.iter().find(|d| d.path == *path).context("It is gone")?;
    let name = match &new.branch {
        Some(branch) => branch.parse()?,
        None => followed(deployment, true)?.name,
    };
    let mut remotes = Remotes::load(sysroot.repo(), Some(sysroot.path()))?;
    remotes.add(sysroot.repo(), &new.remote, IfExists::Keep)?;
    let refspec = Refspec { remote: Some(new.remote.name.clone()), name };
    // One that cannot be read is written anew, and what may be pinned stays so.
    let mut origin = deployment.origin.clone().with_pin(deployment.may_be_pinned());
    origin.0.set_string(GROUP, "refspec", &refspec.to_string());
    deploy::set_origin(lock, &deployment.path, &origin)
}
