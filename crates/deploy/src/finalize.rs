// SPDX-License-Identifier: MIT OR Apache-2.0
//! The second half of a staged deployment, at shutdown, and what the next boot says of it.
//!
//! ```text
//! record    the attempt is counted, and the volatile one removed
//! /etc      the local changes, as they are now that nothing runs any more
//! switch    the boot entries (see the crate `bootloader`), cleanup without objects
//! ```
//!
//! A failure leaves the old system as the default, and its reason in `/boot/ostree/finalize-failure.stamp`, where
//! [`Sysroot::finalize_failure`] finds it. [`boot_good`](crate::boot_good) ends the story: the switch is proven, and the set of before is
//! swept.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use durable::fault::Mutant;
use fn_error_context::context;
use formats::bootlink::DeploymentPath;
use sysroot::running::running_here;
use sysroot::staged::read as read_record;
use sysroot::{Lock, Sysroot, is_anything_staged, reserve};

use crate::deploy_work::Deployed;
use crate::finalize_stamp::{remove_stamp, write_stamp};
use crate::journal;
use crate::plan::{self, Applied};
use crate::staged::{self, persistent};

/// How long the unit that finalizes may take to stop: `TimeoutStopSec` of `ostree-finalize-staged.service`.
const UNIT_PATIENCE: Duration = Duration::from_secs(300);

/// How long is waited for the lock: what is left is for the work, and for saying why nothing was done.
const LOCK_PATIENCE: Duration = UNIT_PATIENCE.saturating_sub(Duration::from_secs(60));

/// The text that the next boot tells of a process that was killed while it waited.
const WAITING: &str = "Finalizing staged deployment: it was stopped while it waited for ostree/lock, which another process held";

/// The running system is not of this root, so what is staged is not for it.
#[derive(Debug, thiserror::Error)]
#[error("The running system was not booted from {}, and what is staged is for that system", .0.display())]
struct NotBootedFromHere(PathBuf);

/// The result of finalizing the staged deployment.
#[derive(Debug)]
pub enum Finalized {
    /// There was none.
    NothingStaged,
    /// It stays as it is, for it is locked.
    Locked(DeploymentPath),
    /// It is booted next.
    Done(Box<Deployed>),
}

/// Switches to the staged deployment. A failure is also written down for the next boot; success removes what
/// an earlier failure has left. `on_wait` is called if another process holds the lock.
pub fn finalize_staged(sysroot: &Sysroot, on_wait: impl FnOnce()) -> Result<Finalized> {
    let done = finalize(sysroot, on_wait);
    let stamp = match &done {
        // Also where the clean-up that comes before it in the plan has failed.
        Ok(Finalized::Done(_)) => remove_stamp(sysroot),
        Ok(_) => Ok(()),
        Err(error) if error.is::<NotBootedFromHere>() => Ok(()),
        Err(error) => {
            // The reason may be that nothing is free.
            reserve::release(sysroot.places());
            write_stamp(sysroot, &format!("{error:#}"))
        }
    };
    if let Err(error) = stamp {
        log::warn!("{error:#}");
    }
    done
}

/// Takes the lock. For as long as it waits it has written down that it does: whoever is killed then says no more.
fn lock_or_tell(sysroot: &Sysroot, on_wait: impl FnOnce()) -> Result<Lock<'_>> {
    let mut earlier = None;
    let taken = sysroot.lock_within(Some(LOCK_PATIENCE), || {
        earlier = Some(sysroot.finalize_failure().unwrap_or_default());
        write_stamp(sysroot, WAITING).unwrap_or_else(|error| log::warn!("{error:#}"));
        on_wait();
    });
    let restored = match earlier.filter(|_| taken.is_ok()) {
        None => Ok(()),
        Some(Some(text)) => write_stamp(sysroot, &text),
        Some(None) => remove_stamp(sysroot),
    };
    restored.unwrap_or_else(|error| log::warn!("{error:#}"));
    taken
}

#[context("Finalizing staged deployment")]
fn finalize(sysroot: &Sysroot, on_wait: impl FnOnce()) -> Result<Finalized> {
    if running_here(sysroot.root())?.is_none() && is_anything_staged()? {
        return Err(NotBootedFromHere(sysroot.path().to_owned()).into());
    }
    let too_early = if Mutant::RecordBeforeLock.is_on() { read_record()? } else { None };
    let lock = lock_or_tell(sysroot, on_wait)?;
    // Only now: whoever had the lock may have staged another one, given this one up or locked it.
    let record = if too_early.is_some() { too_early } else { read_record()? };
    let Some(record) = record else { return Ok(Finalized::NothingStaged) };
    if record.locked {
        return Ok(Finalized::Locked(record.target.path));
    }
    let loaded = sysroot.load()?;
    journal::finalizing(&record.target.path);
    // Also one that is killed while it plans counts as an attempt.
    persistent::count_attempt(sysroot, &record);
    staged::remove()?;
    let plan = plan::finalization(sysroot, &loaded, &record)?;
    match plan::perform(&lock, &loaded, &plan)? {
        Applied::Deployed(deployed) => Ok(Finalized::Done(deployed)),
        other => bail!("A finalization has come to {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_for_the_lock_ends_a_minute_before_the_unit_is_killed() {
        let unit = include_str!("../../../systemd-units/ostree-finalize-staged.service");
        let line = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).unwrap();
        let minutes: u64 = line.strip_suffix('m').unwrap().parse().unwrap();
        assert_eq!(UNIT_PATIENCE, Duration::from_secs(60 * minutes));
        assert_eq!(LOCK_PATIENCE + Duration::from_secs(60), UNIT_PATIENCE);
    }
}
