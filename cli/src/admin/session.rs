// SPDX-License-Identifier: MIT OR Apache-2.0
//! The lock of a command that changes deployments, and the lines that it prints at its end.

use std::path::Path;

use ::deploy::{Cleaned, Switched};
use anyhow::Result;
use sysroot::{Lock, Sysroot};

use crate::{Output, size};

/// Takes the sysroot's lock, and says so if somebody else has it.
pub(crate) fn lock(sysroot: &Sysroot) -> Result<Lock<'_>> {
    sysroot.lock(|| say_waiting(sysroot.path()))
}

/// Says that the lock is waited for.
pub(crate) fn say_waiting(path: &Path) {
    eprintln!("Waiting for {}/ostree/lock, which another process holds", path.display());
}

/// Says what a new boot menu has changed.
pub(crate) fn print_switched(done: &Switched, out: &mut Output<'_>) -> Result<()> {
    for warning in &done.plan.warnings {
        eprintln!("warning: {warning}");
    }
    writeln!(out, "{}", done.summary())?;
    if let Some(path) = &done.unstaged {
        writeln!(out, "No longer staged: {path}")?;
    }
    if let Some(reason) = &done.outcome.unfinished {
        eprintln!(
            "warning: the boot loader still boots from the former entries: {reason}; `ostree admin cleanup` tries again"
        );
    }
    if let durable::Proof::Unproven(reason) = &done.outcome.proof {
        eprintln!("note: a boot loader may see the old entries until the next reboot: {reason}");
    }
    print_cleaned(&done.cleaned, out)
}

/// Says what was removed, and what could not be.
pub(crate) fn print_cleaned(cleaned: &Cleaned, out: &mut Output<'_>) -> Result<()> {
    for left in &cleaned.left {
        eprintln!("warning: could not remove {left}");
    }
    if let Some(reason) = &cleaned.unproven {
        eprintln!(
            "note: a boot loader may see former entries until the next reboot, and what they need stays: {reason}"
        );
    }
    match &cleaned.pruned {
        Some(pruned) if pruned.freed > 0 => {
            Ok(writeln!(out, "Freed objects: {}", size::format(pruned.freed))?)
        }
        _ => Ok(()),
    }
}
