// SPDX-License-Identifier: MIT OR Apache-2.0
//! An upgrade as a user makes it: staged in the running system, finalized while that shuts down, booted, and undone by
//! `ostree admin rollback`. The disk is the same one all the time, `/sysroot` is read-only, and each boot starts the
//! best of the entries that are on the disk then.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{Bench, check};
use crate::budget::Tier;
use crate::disk::{self, Disk};
use crate::machine::{Boot, Machine};
use crate::report::{Report, Section};
use crate::{guest, mountinfo, payload};

/// Measured under emulation: 80 s a boot beside other work, 110 s with two of these at once.
const LIMIT: Duration = Duration::from_secs(600);

/// What the second version changes: a default in `/etc`, and a file of its own.
const CHANGED_DEFAULT: &str = "The default of the second version";
const NEW_FILE: &str = "usr/share/tests-vm/version";

/// What every boot says about itself. Orders that systemd cannot keep are told in the journal alone, those of a shutdown
/// in that of the boot before.
const STATE: &str = r#"
cycles() { journalctl --no-pager "$@" | grep -i 'ordering cycle'; }
section running systemctl is-system-running --wait
section failed systemctl --failed --plain --no-legend --no-pager
section cycles cycles -b
section status ostree admin status --json
section mounts cat /proc/self/mountinfo
section default cat /etc/issue.net
"#;

/// In the first version.
const STAGE: &str = r#"
mkdir -p /var/log/journal && journalctl --flush
section stage ostree admin deploy --stage debian/trixie/x86_64
section pending ostree admin status --json
section edit sh -c 'echo added late >/etc/added-late; echo changed late >>/etc/issue'
"#;

/// In the second version.
const CHECK_AND_ROLL_BACK: &str = r#"
section "cycles before" cycles -b -1
section finalized journalctl -b -1 -q --no-pager -o cat -u ostree-finalize-staged.service
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
section "cycles before" cycles -b -1
section version test ! -e /usr/share/tests-vm/version
section added cat /etc/added-late
section "of the second" test ! -e /etc/of-the-second
"#;

pub(super) fn run(bench: &Bench) -> Result<()> {
    let prepared = bench.prepared()?;
    let disk = prepared.disk.copy(&bench.directory)?;
    let (first, second) = add_version(bench, &disk, &prepared.commit.reference)?;
    let old_default = fs::read_to_string(prepared.tree.path.join("usr/etc/issue.net"))
        .context("Reading the tree's usr/etc/issue.net")?;

    let (report, disk) = boot(bench, disk, &[STATE, STAGE].concat())?;
    check_state(&report, &first, old_default.trim())?;
    check_ok(&report, &["stage", "edit"])?;
    check_first(&report, "pending", &second, "staged")?;
    check_switched(&disk, &second)?;

    let (report, disk) = boot(bench, disk, &[STATE, CHECK_AND_ROLL_BACK].concat())?;
    check_state(&report, &second, CHANGED_DEFAULT)?;
    check_second(&report)?;
    check_switched(&disk, &first)?;

    let (report, _) = boot(bench, disk, &[STATE, CHECK_OLD].concat())?;
    check_state(&report, &first, old_default.trim())?;
    check_ok(&report, &["version", "of the second"])?;
    check_none(&report, "cycles before")?;
    check_text(&report, "added", "added late")
}

/// Commits the second version on the disk; the checksums of both.
fn add_version(bench: &Bench, disk: &Disk, reference: &str) -> Result<(String, String)> {
    let changes = bench.directory.join("changes");
    for (file, text) in [("usr/etc/issue.net", CHANGED_DEFAULT), (NEW_FILE, "2")] {
        let file = changes.join(file);
        fs::create_dir_all(file.parent().unwrap_or(&changes)).context("Creating the changes")?;
        fs::write(&file, format!("{text}\n")).with_context(|| format!("Writing {}", file.display()))?;
    }
    let ostree = bench.environment.program("usr/bin/ostree");
    let arguments = [ostree.as_os_str(), reference.as_ref(), changes.as_os_str()];
    let said = disk.run(include_str!("../../host/add-version.sh"), &arguments)?;
    let (first, second) = said.trim().split_once('\n').context("two checksums were expected")?;
    check(first != second, "the second version is another commit", &said)?;
    Ok((first.to_owned(), second.to_owned()))
}

/// Boots the best entry, runs the script, shuts down in order; what the guest sent, and the disk as it is then.
fn boot(bench: &Bench, disk: Disk, script: &str) -> Result<(Report, Disk)> {
    let payload = payload::pack(&bench.directory, script, &[])?;
    let machine = Machine {
        directory: bench.directory.clone(),
        kernel: disk.kernel,
        initrd: vec![disk.initrd],
        arguments: format!("{} {} {}", disk.entry.options, guest::ARGUMENTS, guest::SCENARIO_ARGUMENTS),
        disks: vec![(disk.image.clone(), "root"), (payload, "payload")],
        credentials: guest::ORDERLY_CREDENTIALS.to_vec(),
    };
    let Boot { report, duration, .. } = machine.boot_and_keep(Tier::FullBoot, LIMIT)?;
    println!("{} with orderly shutdown: {:.1} s", disk.entry.title, duration.as_secs_f64());
    Ok((report, disk::open(disk.image, &bench.directory)?))
}

fn check_state(report: &Report, commit: &str, default: &str) -> Result<()> {
    check_none(report, "cycles")?;
    let failed = report.section("failed")?;
    check(failed.ok() && failed.text().trim().is_empty(), "no unit failed", failed)?;
    check_text(report, "running", "running")?;
    check_first(report, "status", commit, "booted")?;
    check_text(report, "default", default)?;
    let mounts = mountinfo::parse(&report.section("mounts")?.lines).unwrap_or_default();
    for point in ["/sysroot", "/boot"] {
        let mount = mountinfo::at(&mounts, point);
        check(mount.is_some_and(mountinfo::Mount::read_only), &format!("{point} is read-only"), mount)?;
    }
    Ok(())
}

fn check_second(report: &Report) -> Result<()> {
    check_ok(report, &["edit", "rollback"])?;
    // Also proof that the journal of the boot before can be read, up to its end.
    let finalized = report.section("finalized")?;
    check(
        finalized.text().contains("Bootloader updated"),
        "the journal tells of the finalization",
        finalized,
    )?;
    check_none(report, "cycles before")?;
    check_text(report, "version", "2")?;
    check_text(report, "added", "added late")?;
    let changed = report.section("changed")?;
    check(
        changed.lines.iter().any(|line| line == "changed late"),
        "the late edit of /etc/issue is there",
        changed,
    )?;
    let good = report.section("good")?;
    for expected in ["ActiveState=active", "Result=success", "ConditionResult=yes"] {
        let what = format!("ostree-boot-good.service has {expected}");
        check(good.lines.iter().any(|line| line == expected), &what, good)?;
    }
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

/// After the shutdown: nothing failed, and the default is the expected deployment.
fn check_switched(disk: &Disk, commit: &str) -> Result<()> {
    let stamp = disk.run("stamp=boot/ostree/finalize-failure.stamp; [ ! -e $stamp ] || cat $stamp", &[])?;
    check(stamp.is_empty(), "the finalization left no failure", &stamp)?;
    let deployment = disk.deployment()?;
    check(deployment == format!("{commit}.0"), &format!("{commit}.0 is the default on the disk"), &deployment)
}

/// The first deployment of the status is this commit, and has this mark.
fn check_first(report: &Report, section: &str, commit: &str, mark: &str) -> Result<()> {
    let section = report.section(section)?;
    // The output is indented: one key a line, and a line of its own where a deployment ends.
    let row = || section.lines.iter().map(|line| line.trim()).take_while(|line| !line.starts_with('}'));
    let has = |key: &str, value: &str| {
        let expected = format!("\"{key}\": {value}");
        row().any(|line| line.trim_end_matches(',') == expected)
    };
    let holds = section.ok() && has("checksum", &format!("\"{commit}\"")) && has(mark, "true");
    check(holds, &format!("the first deployment is {commit} and {mark}"), section)
}

fn check_text(report: &Report, section: &str, expected: &str) -> Result<()> {
    let found = report.section(section)?;
    check(found.text() == expected, &format!("{section} says {expected:?}"), found)
}

/// `grep` found nothing, and nothing complained.
fn check_none(report: &Report, section: &str) -> Result<()> {
    let found = report.section(section)?;
    check(found.status == Some(1) && found.lines.is_empty(), "no ordering cycle in the journal", found)
}

fn check_ok(report: &Report, sections: &[&str]) -> Result<()> {
    for name in sections {
        let section = report.section(name)?;
        check(section.ok(), &format!("{name} succeeds"), section)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
@@ section status
{
  "deployments": [
    {
      "checksum": "new",
      "booted": true,
      "staged": false
    },
    {
      "checksum": "old",
      "booted": false,
      "staged": false
    }
  ]
}
@@ status 0
@@ section cycles
@@ status 1
@@ section kept
/boot/loader
/boot/loader.1
/sysroot/ostree/boot.1
/sysroot/ostree/boot.1.1
@@ status 0
"#;

    fn verdict(text: &str) -> Result<()> {
        let report = Report::parse(text);
        check_first(&report, "status", "new", "booted")?;
        check_none(&report, "cycles")?;
        check_swept(report.section("kept")?)
    }

    #[test]
    fn a_good_report_passes_and_each_change_of_it_fails() {
        verdict(GOOD).unwrap();
        for (from, to) in [
            ("\"new\"", "\"other\""),
            ("\"booted\": true", "\"booted\": false"),
            ("  {\n      \"checksum\": \"new\"", "  {\n    },\n    {\n      \"checksum\": \"new\""),
            ("@@ status 0\n@@ section cycles", "@@ status 1\n@@ section cycles"),
            ("cycles\n@@ status 1", "cycles\nFound ordering cycle\n@@ status 0"),
            ("cycles\n@@ status 1", "cycles\nNo journal files were found.\n@@ status 1"),
            ("/boot/loader.1\n", "/boot/loader.1\n/boot/loader.0\n"),
            ("/boot/loader.1\n", "/boot/loader.1\n/boot/loader.tmp\n"),
            ("boot.1.1\n", "boot.1.1\n/sysroot/ostree/boot-switch\n"),
            ("boot.1.1\n", "boot.1.1\n/sysroot/ostree/boot.0\n"),
        ] {
            assert!(GOOD.contains(from), "{from:?}");
            assert!(verdict(&GOOD.replacen(from, to, 1)).is_err(), "{from:?} → {to:?}");
        }
    }
}
