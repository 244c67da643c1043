// SPDX-License-Identifier: MIT OR Apache-2.0
//! The changes as functions: each plans, and carries the plan out.

use anyhow::{Result, bail};
use sysroot::Lock;

use crate::deploy_work::Deployed;
use crate::edits::Edits;
use crate::good_boot::BootGood;
use crate::menu::Switched;
use crate::options::DeployOptions;
use crate::order::{ReorderError, rollback_target};
use crate::plan::{Applied, change};
use crate::removal::Cleaned;
use crate::request::Request;
use crate::staging::StagedDeployment;

/// Deploys.
///
/// # Errors
///
/// The deployment is refused, or a step fails.
pub fn deploy(lock: &Lock<'_>, options: &DeployOptions) -> Result<Deployed> {
    match change(lock, &Request::Deploy(options.clone()))? {
        Applied::Deployed(deployed) => Ok(*deployed),
        other => bail!("A deployment has come to {other:?}"),
    }
}

/// Stages a deployment, in place of another one. With `locked` it will not be switched to at shutdown.
///
/// # Errors
///
/// As [`deploy()`]; [`StageError`](crate::StageError) where nothing runs that could be shut down.
pub fn stage(lock: &Lock<'_>, options: &DeployOptions, locked: bool) -> Result<StagedDeployment> {
    match change(lock, &Request::Stage { options: options.clone(), locked })? {
        Applied::Staged(staged) => Ok(*staged),
        other => bail!("A staged deployment has come to {other:?}"),
    }
}

/// Removes what an interruption has left, what no boot link leads to, and objects that nothing needs.
///
/// # Errors
///
/// The boot menu is not whole, or a step fails.
pub fn cleanup(lock: &Lock<'_>) -> Result<Cleaned> {
    match change(lock, &Request::Cleanup)? {
        Applied::Cleaned(cleaned) => Ok(cleaned),
        other => bail!("A cleanup has come to {other:?}"),
    }
}

/// Proves the switch that led to a good boot, and removes what was kept in case it had not.
///
/// # Errors
///
/// The boot menu is not whole, or a step fails.
pub fn boot_good(lock: &Lock<'_>) -> Result<BootGood> {
    match change(lock, &Request::BootGood).map_err(|error| error.context("Finishing the boot"))? {
        Applied::Good(good) => Ok(good),
        other => bail!("A good boot has come to {other:?}"),
    }
}

/// Takes a deployment out of the menu and removes it.
pub fn undeploy(lock: &Lock<'_>, index: usize) -> Result<Switched> {
    change_menu(lock, &Request::Undeploy(index))
}

/// Makes a deployment the default.
pub fn set_default(lock: &Lock<'_>, index: usize) -> Result<Switched> {
    change_menu(lock, &Request::SetDefault(index))
}

/// Makes the deployment to go back to the default, and gives its former place.
pub fn rollback(lock: &Lock<'_>) -> Result<(usize, Switched)> {
    let sysroot = lock.sysroot();
    let index = rollback_target(&sysroot.load()?).ok_or(ReorderError::NothingToRollBackTo)?;
    Ok((index, change_menu(lock, &Request::Rollback)?))
}

/// Edits the kernel arguments of a deployment in place, or of all.
pub fn edit_kernel_args(lock: &Lock<'_>, index: Option<usize>, edits: &Edits) -> Result<Switched> {
    change_menu(lock, &Request::KernelArgs { index, edits: edits.clone() })
}

fn change_menu(lock: &Lock<'_>, request: &Request) -> Result<Switched> {
    match change(lock, request)? {
        Applied::Switched(switched) => Ok(*switched),
        other => bail!("Another boot menu has come to {other:?}"),
    }
}
