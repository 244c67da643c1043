// SPDX-License-Identifier: MIT OR Apache-2.0
//! Recording the conflicts of a merge beside the deployment.

use std::fs::File;

use anyhow::Result;
use etc_merge::{Item, Plan, Report};
use fn_error_context::context;
use formats::bootlink::DeploymentPath;
use formats::etc_policy::Policy;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use sysroot::backing::path_of;
use sysroot::etc::conflicts::{RECORD, Record};
use sysroot::etc::{EtcConflict, Side};
use sysroot::{Sysroot, directory};

use crate::{backing, journal};

/// Lists the conflicts of a plan that was applied.
pub(super) fn all(plan: &Plan, report: &Report) -> Vec<EtcConflict> {
    let text = |path: &std::path::Path| format!("/etc/{}", path.display());
    let has_place = |item: &&Item| !report.clashes.iter().any(|clash| clash.path == item.path);
    let decided = plan.conflicts().filter(has_place).map(|item| EtcConflict {
        path: text(&item.path),
        side: side_of(item),
        why: (item.policy == Some(Policy::Fail))
            .then(|| "the policy `fail` cannot stop a shutdown".to_owned()),
    });
    let clashes = report.clashes.iter().map(|clash| EtcConflict {
        path: text(&clash.path),
        side: Side::New,
        why: Some(clash.why.to_owned()),
    });
    let mut all: Vec<_> = decided.chain(clashes).collect();
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all
}

fn side_of(item: &Item) -> Side {
    match item.policy {
        Some(Policy::TakeNew) => Side::New,
        Some(Policy::KeepBoth) => Side::Both,
        _ => Side::Local,
    }
}

/// Writes down the conflicts of a deployment, whose backing directory is there. Nothing is synced; see
/// [`Target::Fresh`](etc_merge::Target).
pub(crate) fn write_down(sysroot: &Sysroot, path: &DeploymentPath, conflicts: &[EtcConflict]) -> Result<()> {
    conflicts.iter().for_each(|conflict| journal::etc_conflict(path, conflict));
    write(sysroot, path, conflicts)
}

#[context("Writing down the conflicts in /etc")]
fn write(sysroot: &Sysroot, path: &DeploymentPath, conflicts: &[EtcConflict]) -> Result<()> {
    let dir = directory::open(sysroot.root(), &path_of(path))?;
    if conflicts.is_empty() {
        return match rustix::fs::unlinkat(&dir, RECORD, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        };
    }
    let text = serde_json::to_string_pretty(&Record { conflicts: conflicts.to_vec() })?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&dir, RECORD, flags, Mode::from_raw_mode(0o600))?;
    Ok(std::io::Write::write_all(&mut File::from(file), text.as_bytes())?)
}

/// As [`write_down`], beside what was written down before of other paths, which stays true.
pub(super) fn add(sysroot: &Sysroot, path: &DeploymentPath, conflicts: &[EtcConflict]) -> Result<()> {
    if conflicts.is_empty() {
        return Ok(());
    }
    conflicts.iter().for_each(|conflict| journal::etc_conflict(path, conflict));
    let mut all = sysroot.etc_conflicts(path).unwrap_or_default();
    all.retain(|old| !conflicts.iter().any(|new| new.path == old.path));
    all.extend(conflicts.iter().cloned());
    backing::create(sysroot, path)?;
    write(sysroot, path, &all)
}
