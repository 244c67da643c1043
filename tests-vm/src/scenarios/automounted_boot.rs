// SPDX-License-Identifier: MIT OR Apache-2.0
//! A `/boot` that is mounted when somebody looks and unmounted a second later. It has expired when something is staged,
//! which finds it all the same; from then on it is held, so that it is there at shutdown.

use anyhow::Result;

use super::expect::{self, check};
use super::system::{self, Ended, Extras, STATE};
use super::{Bench, menu, mounted};
use crate::mountinfo;
use crate::report::Report;

const OPTIONS: &str = "defaults,x-systemd.automount,x-systemd.idle-timeout=1s";

/// The mount table is read without looking into `/boot`.
const STAGE_AND_EXPIRE: &str = r#"
is_mounted() { grep -q ' / /boot [^-]* - ext4 ' /proc/self/mountinfo; }
expire() {
    tries=0
    while is_mounted && [ $tries -lt "$1" ]; do sleep 1; tries=$((tries + 1)); done
}
section automount systemctl is-active boot.automount
section status ostree admin status --json
expire 120
section expired cat /proc/self/mountinfo
section stage ostree admin deploy --stage debian/trixie/x86_64
section pending ostree admin status --json
expire 10
section held cat /proc/self/mountinfo
section units systemctl is-active ostree-finalize-staged-hold.service ostree-finalize-staged.service
"#;

pub(super) fn run(bench: &Bench) -> Result<()> {
    let prepared = bench.prepared()?;
    let disk = prepared.disk.copy(&bench.directory)?.separate_boot(OPTIONS)?;
    let changes = bench.changes(&[("usr/share/tests-vm/version", b"2\n")])?;
    let second = bench.add_version(&disk, "ostree/repo", "2", &changes)?;

    let script = [STATE, STAGE_AND_EXPIRE].concat();
    let Ended { report, disk, .. } = system::boot(bench, disk, &script, &Extras::default())?;
    system::check_healthy(&report)?;
    menu::check_first(&report, "status", &prepared.commit.checksum, "booted")?;
    menu::check_first(&report, "pending", &second, "staged")?;
    check_automount(&report)?;
    menu::check_switched(&disk, &format!("debian/{second}.0"))?;
    system::check_orderly(&disk, "debian", "Bootloader updated")
}

/// Expired when nobody held it, and later held for ten times as long as that takes.
fn check_automount(report: &Report) -> Result<()> {
    expect::text(report, "automount", "active")?;
    let expired = mounted::table(report.section("expired")?)?;
    let boot = mountinfo::at(&expired, "/boot");
    check(boot.is_some_and(|boot| boot.file_system == "autofs"), "/boot has expired", boot)?;
    expect::ok(report, &["stage"])?;
    mounted::check_own_boot(&mounted::table(report.section("held")?)?, "ext4")?;
    expect::text(report, "units", "active\nactive")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
@@ section automount
active
@@ status 0
@@ section expired
71 70 0:40 / /boot rw,relatime shared:2 - autofs systemd-1 rw
@@ status 0
@@ section stage
@@ status 0
@@ section held
71 70 0:40 / /boot rw,relatime shared:2 - autofs systemd-1 rw
72 71 254:16 / /boot rw,relatime shared:3 - ext4 /dev/vdb rw
@@ status 0
@@ section units
active
active
@@ status 0
";

    #[test]
    fn a_good_report_passes_and_each_change_of_it_fails() {
        let changes = [
            ("automount\nactive", "automount\ninactive"),
            ("stage\n@@ status 0", "stage\n@@ status 1"),
            ("72 71 254:16 / /boot rw,relatime shared:3 - ext4 /dev/vdb rw\n", ""),
            ("shared:2 - autofs", "shared:2 - ext4"),
            ("units\nactive", "units\ninactive"),
            ("active\nactive\n@@", "active\nfailed\n@@"),
        ];
        expect::assert_each_change_fails(GOOD, check_automount, &changes);
    }
}
