// SPDX-License-Identifier: MIT OR Apache-2.0
//! A disk as the disk of a machine: each boot starts the best of the entries that are on it then, runs a script in the
//! system, and ends by an orderly shutdown. And what every boot has to say about itself.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::Bench;
use super::expect::{self, check};
use crate::budget::Tier;
use crate::disk::Disk;
use crate::machine::{Boot, Machine};
use crate::report::Report;
use crate::{command, guest, payload};

/// Measured under emulation: 35 s a boot on a quiet machine, 110 s with two of these at once beside other work.
pub(super) const LIMIT: Duration = Duration::from_secs(600);

/// How a boot went. The journal is kept on the disk, where [`check_orderly`] finds what was told at the very end.
pub(super) const STATE: &str = r#"
mkdir -p /var/log/journal && journalctl --flush
section running systemctl is-system-running --wait
section failed systemctl --failed --plain --no-legend --no-pager
"#;

/// The things that a boot gets besides its disk and its script.
#[derive(Default)]
pub(super) struct Extras<'a> {
    /// Archives to append to the initramfs.
    pub(super) initrd: &'a [Vec<u8>],
    /// Directories of the host for the payload, which the guest has below `/run/payload`.
    pub(super) parts: &'a [&'a Path],
    /// More system credentials.
    pub(super) credentials: &'a [guest::Credential],
}

/// A boot that has come to its end.
pub(super) struct Ended {
    pub(super) report: Report,
    pub(super) console: String,
    /// The disk as it is now.
    pub(super) disk: Disk,
}

/// Boots the best entry, runs the script, shuts down in order.
pub(super) fn boot(bench: &Bench, disk: Disk, script: &str, extras: &Extras<'_>) -> Result<Ended> {
    let credentials = [&guest::ORDERLY_CREDENTIALS, extras.credentials].concat();
    let machine = machine(bench, &disk, script, extras, credentials)?;
    let Boot { report, console, duration } = machine.boot_and_keep(Tier::FullBoot, LIMIT)?;
    println!("{} with orderly shutdown: {:.1} s", disk.entry.title, duration.as_secs_f64());
    Ok(Ended { report, console, disk: disk.read_again()? })
}

/// The machine that boots the best entry and runs the script.
pub(super) fn machine(
    bench: &Bench,
    disk: &Disk,
    script: &str,
    extras: &Extras<'_>,
    credentials: Vec<guest::Credential>,
) -> Result<Machine> {
    let payload = payload::pack(&bench.directory, script, extras.parts)?;
    let mut disks = disk.images();
    disks.push((payload, "payload"));
    Ok(Machine { directory: bench.directory.clone(), start: disk.start(extras.initrd), disks, credentials })
}

/// All units are well.
pub(super) fn check_healthy(report: &Report) -> Result<()> {
    let failed = report.section("failed")?;
    check(failed.ok() && failed.text().trim().is_empty(), "no unit failed", failed)?;
    expect::text(report, "running", "running")
}

/// In none of the boots and shutdowns of the disk did systemd have to drop a job because of an ordering cycle: it tells
/// of that in the journal alone. `told` is what a unit said at the last shutdown that matters, so that it is seen that
/// the journal has it.
pub(super) fn check_orderly(disk: &Disk, stateroot: &str, told: &str) -> Result<()> {
    check_journal(&disk.journal(stateroot, &[])?, told)
}

fn check_journal(journal: &str, told: &str) -> Result<()> {
    let cycle = journal.lines().find(|line| line.to_lowercase().contains("ordering cycle"));
    check(cycle.is_none(), "no ordering cycle in the journal", cycle)?;
    let what = format!("the journal has {told:?}");
    check(journal.contains(told), &what, command::last_lines(journal, 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_and_an_unfinished_journal_are_seen() {
        let cycle = "local-fs.target: Found ordering cycle on a.service/start\nDone.\n";
        assert!(check_journal("Started.\nDone.\n", "Done.").is_ok());
        assert!(check_journal("Started.\n", "Done.").is_err());
        assert!(check_journal(cycle, "Done.").is_err());
    }

    #[test]
    fn a_failed_unit_is_seen() {
        let good = "@@ section failed\n@@ status 0\n@@ section running\nrunning\n@@ status 0\n";
        let changes = [
            ("failed\n", "failed\nostree-remount.service\n"),
            ("failed\n@@ status 0", "failed\n@@ status 1"),
            ("running\n@@ status", "degraded\n@@ status"),
        ];
        expect::assert_each_change_fails(good, check_healthy, &changes);
    }
}
