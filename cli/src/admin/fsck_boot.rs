// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin fsck-boot`.

use std::path::PathBuf;

use anyhow::Result;
use repair::BootCheck;
use rustix::io::Errno;
use sysroot::{Lock, Sysroot};

use crate::Output;
use crate::failure::Found;

/// Check what leads from the boot loader to the deployments, and repair it
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example, from live media: ostree admin --sysroot=/mnt fsck-boot --repair\n\nFollows each boot entry \
    through its kernel, its initrd and its link to a deployment, and compares boot files byte for byte. Without \
    --repair nothing is written; with --repair --dry-run the steps are printed.\n\nExit status: 0 if nothing is wrong, or all of it was repaired; 2 if something is \
    wrong still; 1 after an error."
)]
pub(super) struct Args {
    /// Repair what can be repaired
    #[arg(long)]
    repair: bool,
    /// With --repair: print the steps, and do nothing
    #[arg(long, requires = "repair")]
    dry_run: bool,
    /// Where /boot is, if not in the physical root
    #[arg(long, value_name = "PATH")]
    boot: Option<PathBuf>,
    /// For programs: one JSON object, with a number for its schema
    #[arg(short = 'J', long)]
    json: bool,
}

impl Args {
    /// Whether it changes nothing.
    pub(super) fn only_reads(&self) -> bool {
        !self.repair || self.dry_run
    }

    pub(super) fn run(&self, sysroot: Sysroot, out: &mut Output<'_>) -> Result<()> {
        let sysroot = match &self.boot {
            Some(boot) => sysroot.with_boot(boot)?,
            None => sysroot,
        };
        if self.dry_run {
            return self.show(&sysroot, out);
        }
        let lock = if self.repair { lock(&sysroot)? } else { None };
        let found = repair::check_boot(&sysroot)?;
        let repaired = match self.repair && !found.repair.is_empty() {
            true => Some(repair::repair_boot(&sysroot, lock.as_ref(), &found)?),
            false => None,
        };
        if self.json {
            let all = serde_json::json!({ "schema": 1, "found": found, "after-repair": repaired });
            writeln!(out, "{}", serde_json::to_string_pretty(&all)?)?;
        } else {
            print(&found, repaired.as_ref(), out)?;
        }
        match repaired.as_ref().unwrap_or(&found).is_clean() {
            true => Ok(()),
            false => Err(Found.into()),
        }
    }

    /// Prints the steps of a repair. It is an error that a person has to mend something, as after the repair.
    fn show(&self, sysroot: &Sysroot, out: &mut Output<'_>) -> Result<()> {
        let plan = repair::plan_repair(sysroot)?;
        match self.json {
            true => writeln!(out, "{}", serde_json::to_string_pretty(&plan)?)?,
            false => write!(out, "{plan}")?,
        }
        match plan.found.problems.iter().all(|problem| !problem.repair.is_empty()) {
            true => Ok(()),
            false => Err(Found.into()),
        }
    }
}

/// A disk that has no room for the lock's file must be repairable all the same; nothing else can be written there then.
fn lock(sysroot: &Sysroot) -> Result<Option<Lock<'_>>> {
    match super::lock(sysroot) {
        Ok(lock) => Ok(Some(lock)),
        Err(error) if error.downcast_ref() == Some(&Errno::NOSPC) => {
            eprintln!("warning: there is no room for ostree/lock: going on without it");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn print(found: &BootCheck, repaired: Option<&BootCheck>, out: &mut Output<'_>) -> Result<()> {
    for problem in &found.problems {
        writeln!(out, "{}: {}", problem.path, problem.text)?;
        if let Some(by_hand) = &problem.by_hand {
            writeln!(out, "  by hand: {by_hand}")?;
        }
    }
    let title = if repaired.is_some() { "Repaired:" } else { "A repair would:" };
    if !found.repair.is_empty() {
        writeln!(out, "{title}")?;
        found.repair.iter().try_for_each(|action| writeln!(out, "  {action}"))?;
    }
    if let Some(no_room) = &found.no_room {
        writeln!(out, "{no_room}")?;
    }
    let left = repaired.map_or(&[][..], |repaired| &repaired.problems);
    for problem in left {
        let hint = problem.by_hand.as_ref().map(|what| format!("; {what}")).unwrap_or_default();
        writeln!(out, "Still {}: {}{hint}", problem.path, problem.text)?;
    }
    if let Some(reason) = repaired.and_then(|repaired| repaired.unproven.as_ref()) {
        eprintln!(
            "note: a boot loader may see what was there before until the next reboot, and that stays, as .ostree-repair-NAME.old: {reason}"
        );
    }
    match (repaired, found.is_clean()) {
        (None, true) => writeln!(out, "Every boot entry leads to whole boot files and to a deployment.")?,
        (Some(after), _) if after.is_clean() => {
            writeln!(out, "Now every boot entry leads to whole boot files and to a deployment.")?;
        }
        (None, false) if !found.repair.is_empty() => writeln!(out, "Nothing was written; --repair does it.")?,
        _ => {}
    }
    Ok(())
}
