// SPDX-License-Identifier: MIT OR Apache-2.0
//! Staging: all of a deployment but what changes the running system, down to its boot files and entries. The merge of `/etc` and the switch follow at
//! shutdown, so that what is changed until then is carried over; see [`crate::finalize`].
//!
//! Staging refuses all that the switch would refuse, while there is somebody who reads it.

use anyhow::{Context, Result};
use fn_error_context::context;
use formats::bootlink::DeploymentPath;
use formats::staged::{Place, Staged};
use sysroot::{Loaded, Sysroot};

use crate::deploy_work::{self, DeployWork};
use crate::edits::Edits;
use crate::options::DeployOptions;
use crate::preflight::Lack;
use crate::refs::RefPlan;
use crate::removal::Cleaned;
use crate::space::Counting;
use crate::{entries, pin_commit};

/// Why nothing is staged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StageError {
    /// Only a running system can be shut down.
    #[error("Cannot stage deployment: Not currently booted into an OSTree system")]
    NotBooted,
}

/// A deployment that was staged.
#[derive(Debug)]
pub struct StagedDeployment {
    /// Where it is.
    pub path: DeploymentPath,
    /// Whether it will stay staged at shutdown.
    pub locked: bool,
    /// Findings about the tree that were ignored.
    pub ignored: Vec<Lack>,
    /// An earlier staged deployment and the objects that were removed afterwards.
    pub cleaned: Cleaned,
}

/// Decides what staging takes, and the switch at shutdown, which must be possible now.
#[context("Staging deployment")]
pub(crate) fn plan_staging(
    sysroot: &Sysroot,
    loaded: &Loaded,
    options: &DeployOptions,
    counting: Counting,
) -> Result<DeployWork> {
    if !loaded.is_running_system {
        return Err(StageError::NotBooted.into());
    }
    let mut work = deploy_work::plan_deployment(sysroot, loaded, options, counting)?;
    work.menu.refs = refs_when_staged(sysroot, loaded, &work)?;
    Ok(work)
}

/// The refs until shutdown: of the staged deployment, and of those that are in the menu by then.
fn refs_when_staged(sysroot: &Sysroot, loaded: &Loaded, work: &DeployWork) -> Result<RefPlan> {
    let mut present = sysroot.deployment_refs()?;
    present.push(pin_commit::name(loaded));
    let fewer = work.menu.room.as_ref().and_then(|room| room.fewer.as_ref());
    let slot = fewer.map_or_else(|| loaded.boot.slot(), |fewer| fewer.to);
    let kept: Vec<_> = work.menu.items.iter().filter_map(|item| item.path(loaded)).collect();
    let stays = |path: &DeploymentPath| fewer.is_none() || kept.contains(&path);
    let now = loaded.deployments.iter().filter(|d| !d.staged).map(|d| &d.path);
    let now = now.filter(|path| stays(path));
    Ok(RefPlan::new(present, &slot, std::iter::once(&work.plan.path).chain(now)))
}

/// The kernel arguments are written down if they were edited: those of the merge deployment may still change.
pub(crate) fn record(
    sysroot: &Sysroot,
    loaded: &Loaded,
    work: &DeployWork,
    options: &DeployOptions,
    locked: bool,
) -> Result<Staged> {
    let plan = &work.plan;
    let entries = entries::compose(sysroot, loaded, &work.menu.items)?;
    let boot_checksum = entries.iter().find(|entry| entry.deployment == plan.path).map(|e| e.boot_checksum);
    let target = Place { path: plan.path.clone(), boot_checksum: boot_checksum.context("It is not listed")? };
    let merge = plan.merge.as_ref().and_then(|path| loaded.deployments.iter().find(|d| d.path == *path));
    let kernel_args = plan.kernel_args.iter().map(str::to_owned).collect();
    Ok(Staged {
        locked,
        merge: merge.map(|d| Place { path: d.path.clone(), boot_checksum: d.boot_checksum }),
        kernel_args: (options.kernel_args != Edits::default() || plan.image_kargs).then_some(kernel_args),
        // Keys that another tool has set since the last boot stay.
        extra: loaded.staged.as_ref().map(|earlier| earlier.extra.clone()).unwrap_or_default(),
        overlay_initrds: plan.overlay_initrds.iter().map(|initrd| initrd.checksum).collect(),
        retain: options.retention.words(),
        // The same is looked at again at shutdown, when nobody can be asked.
        ignore: plan.ignored.iter().map(|lack| lack.check.name().to_owned()).collect(),
        not_as_default: !options.as_default,
        options: sysroot.options().staged_words(),
        ..Staged::new(target)
    })
}
