// SPDX-License-Identifier: MIT OR Apache-2.0
//! Labelling what an installer has made by other means.

use std::os::fd::AsFd;

use anyhow::{Context, Result};
use fn_error_context::context;
use formats::bootlink::DeploymentPath;
use rustix::fs::CWD;
use selinux::{Extent, Labeler};
use sysroot::{Lock, directory};

use crate::seal;

/// The files that were labelled, and the policy for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labelled {
    /// The deployment by whose policy.
    pub deployment: DeploymentPath,
    /// The name of the policy; `None` if it has none, and nothing was labelled.
    pub policy: Option<String>,
    /// How many files, directories and links.
    pub count: u64,
}

/// Labels what has no label yet by the policy of the first deployment: that deployment's own files, or the directory
/// `part` as what is at a path of the running system.
///
/// Files that the deployment shares with the repository stay as they are: their labels are a part of the commit.
#[context("Labelling")]
pub fn ensure_labelled(lock: &Lock<'_>, part: Option<(&str, &str)>) -> Result<Labelled> {
    let sysroot = lock.sysroot();
    let loaded = sysroot.load()?;
    let first = loaded.deployments.first().context("Unable to find a deployment in sysroot")?;
    let tree = directory::open(sysroot.root(), &first.path.to_string())?;
    let deployment = first.path.clone();
    let Some(labeler) = Labeler::of(tree.as_fd())? else {
        return Ok(Labelled { deployment, policy: None, count: 0 });
    };
    let count = match part {
        Some((dir, path)) => {
            let dir = directory::open(CWD, dir)?;
            let count = labeler.label_tree(dir.as_fd(), path, Extent::Unlabelled)?;
            durable::sync_fs(dir.as_fd())?;
            count
        }
        None => {
            seal::set_immutable(tree.as_fd(), false)?;
            let labelled = labeler.label_tree(tree.as_fd(), "/", Extent::UnlabelledOwn);
            seal::seal(sysroot, tree.as_fd())?;
            durable::sync_fs(tree.as_fd())?;
            labelled?
        }
    };
    Ok(Labelled { deployment, policy: Some(labeler.policy), count })
}
