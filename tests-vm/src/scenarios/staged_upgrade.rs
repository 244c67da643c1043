// SPDX-License-Identifier: MIT OR Apache-2.0
//! An upgrade as a user makes it: staged in the running system, finalized while that shuts down, booted, and undone by
//! `ostree admin rollback`. The disk is the same one all the time, `/sysroot` is read-only, and each boot starts the
//! best of the entries that are on the disk then.

use std::fs;

use anyhow::{Context, Result};

use super::expect::{self, check};
use super::system::{self, Ended, Extras, STATE};
use super::{Bench, menu, mounted};
use crate::report::{Report, Section};

/// The change of the second version: a default in `/etc`, and a file of its own.
const CHANGED_DEFAULT: &str = "The default of the second version";
const NEW_FILE: &str = "usr/share/tests-vm/version";

/// The script of every boot.
const ASK: &str = r#"
section status ostree admin status --json
section mounts cat /proc/self/mountinfo
section default cat /etc/issue.net
"#;

/// In the first version.
const STAGE: &str = r#"
section stage ostree admin deploy --stage debian/trixie/x86_64
section pending ostree admin status --json
section edit sh -c 'echo added late >/etc/added-late; echo changed late >>/etc/issue'
"#;

/// In the second version.
const CHECK_AND_ROLL_BACK: &str = r#"
section version cat /usr/share/tests-vm/version
section added cat /etc/added-late
section changed cat /etc/issue
section good systemctl show --property=ActiveState,Result,ConditionResult ostree-boot-good.service
section kept find /boot /sysroot/ostree -maxdepth 1 '(' -name 'loader*' -o -name 'boot[.-]*' ')'
section edit sh -c 'echo second >/etc/of-the-second'
section rollback ostree admin rollback
"#;

/// In the first version again.
const CHECK_OLD: &str = r#"
section version test ! -e /usr/share/tests-vm/version
section added cat /etc/added-late
section "of the second" test ! -e /etc/of-the-second
"#;

pub(super) fn run(bench: &Bench) -> Result<()> {
    let prepared = bench.prepared()?;
    let disk = prepared.disk.copy(&bench.directory)?;
    let changes = bench.changes(&[("usr/etc/issue.net", CHANGED_DEFAULT.as_bytes()), (NEW_FILE, b"2\n")])?;
    let first = &prepared.commit.checksum;
    let second = bench.add_version(&disk, "ostree/repo", "2", &changes)?;
    let old_default = fs::read_to_string(prepared.tree.path.join("usr/etc/issue.net"))
        .context("Reading the tree's usr/etc/issue.net")?;

    let script = [STATE, ASK, STAGE].concat();
    let Ended { report, disk, .. } = system::boot(bench, disk, &script, &Extras::default())?;
    check_state(&report, first, old_default.trim())?;
    expect::ok(&report, &["stage", "edit"])?;
    menu::check_first(&report, "pending", &second, "staged")?;
    menu::check_switched(&disk, &format!("debian/{second}.0"))?;

    let script = [STATE, ASK, CHECK_AND_ROLL_BACK].concat();
    let Ended { report, disk, .. } = system::boot(bench, disk, &script, &Extras::default())?;
    check_state(&report, &second, CHANGED_DEFAULT)?;
    check_second(&report)?;
    menu::check_switched(&disk, &format!("debian/{first}.0"))?;

    let script = [STATE, ASK, CHECK_OLD].concat();
    let Ended { report, disk, .. } = system::boot(bench, disk, &script, &Extras::default())?;
    check_state(&report, first, old_default.trim())?;
    expect::ok(&report, &["version", "of the second"])?;
    expect::text(&report, "added", "added late")?;
    system::check_orderly(&disk, "debian", "Bootloader updated")
}

fn check_state(report: &Report, commit: &str, default: &str) -> Result<()> {
    system::check_healthy(report)?;
    menu::check_first(report, "status", commit, "booted")?;
    expect::text(report, "default", default)?;
    let mounts = mounted::table(report.section("mounts")?)?;
    mounted::check_readonly(&mounts, "/sysroot")?;
    mounted::check_readonly(&mounts, "/boot")
}

fn check_second(report: &Report) -> Result<()> {
    expect::ok(report, &["edit", "rollback"])?;
    expect::text(report, "version", "2")?;
    expect::text(report, "added", "added late")?;
    // In a file that has lines of the first version before it.
    expect::lines(report, "changed", &["changed late"])?;
    expect::lines(report, "good", &["ActiveState=active", "Result=success", "ConditionResult=yes"])?;
    check_swept(report.section("kept")?)
}

/// One set of entries, one of boot links with what it leads to, and no note of a switch.
fn check_swept(kept: &Section) -> Result<()> {
    for (prefix, expected) in
        [("/boot/loader.", 1), ("/sysroot/ostree/boot.", 2), ("/sysroot/ostree/boot-", 0)]
    {
        let count = kept.lines.iter().filter(|line| line.starts_with(prefix)).count();
        check(count == expected, &format!("{expected} of {prefix}* are left"), kept)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
@@ section edit
@@ status 0
@@ section rollback
@@ status 0
@@ section version
2
@@ status 0
@@ section added
added late
@@ status 0
@@ section changed
Debian
changed late
@@ status 0
@@ section good
Result=success
ActiveState=active
ConditionResult=yes
@@ status 0
@@ section kept
/boot/loader
/boot/loader.1
/sysroot/ostree/boot.1
/sysroot/ostree/boot.1.1
@@ status 0
";

    #[test]
    fn a_good_report_passes_and_each_change_of_it_fails() {
        let changes = [
            ("edit\n@@ status 0", "edit\n@@ status 1"),
            ("rollback\n@@ status 0", "rollback\n@@ status 1"),
            ("2\n", "1\n"),
            ("added late", "added"),
            ("changed late", "changed"),
            ("ActiveState=active", "ActiveState=failed"),
            ("ConditionResult=yes", "ConditionResult=no"),
            ("Result=success", "Result=exit-code"),
            ("/boot/loader.1\n", "/boot/loader.1\n/boot/loader.0\n"),
            ("/boot/loader.1\n", "/boot/loader.1\n/boot/loader.tmp\n"),
            ("boot.1.1\n", "boot.1.1\n/sysroot/ostree/boot-switch\n"),
            ("boot.1.1\n", "boot.1.1\n/sysroot/ostree/boot.0\n"),
        ];
        expect::assert_each_change_fails(GOOD, check_second, &changes);
    }
}
