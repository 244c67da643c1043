// SPDX-License-Identifier: MIT OR Apache-2.0
//! A `/boot` on a disk of its own that is mounted read-only, and an upgrade with another initramfs. It runs full after
//! staging, so the finalization fails; the old system is booted again, tells it, and has the upgrade staged again. When there is
//! room again, it succeeds at the next shutdown; a unit that an early unit of this boot has started finalizes it.

use std::fs;

use anyhow::{Context, Result};

use super::expect::{self, check};
use super::system::{self, Ended, Extras, STATE};
use super::{Bench, menu, mounted};
use crate::guest::Credential;
use crate::report::Report;

/// The script of both boots.
const ASK: &str = r#"
section status ostree admin status --json
section mounts cat /proc/self/mountinfo
"#;

/// The reserve for a full disk is gone, and two blocks stay free: enough for the reason, too few for a set of entries.
const STAGE_AND_FILL: &str = r#"
section stage ostree admin deploy --stage debian/trixie/x86_64
section fill sh -euc '
    mount -o remount,rw /boot
    rm -rf /boot/.ostree-staged-loader /boot/.ostree-reserve
    dd if=/dev/zero of=/boot/filler bs=1M || true
    truncate --size=-8K /boot/filler
    mount -o remount,ro /boot'
"#;

/// The second unit is started by the first.
const EARLY: [Credential; 2] = [
    ("systemd.extra-unit.early.service", include_str!("../../guest/early.service")),
    ("systemd.unit-dropin.local-fs.target", "[Unit]\nWants=early.service\n"),
];

const CHECK_AND_CLEAR: &str = r#"
section told journalctl -b -q --no-pager -o cat -u ostree-boot-complete.service
section person ostree admin status
section stamp test ! -e /boot/ostree/finalize-failure.stamp
section version test ! -e /usr/share/tests-vm/version
section early systemctl show --property=ActiveState,Result early.service
section finalize systemctl show --property=ActiveState,Result ostree-finalize-staged.service
section clear sh -euc 'mount -o remount,rw /boot; rm /boot/filler; mount -o remount,ro /boot'
"#;

pub(super) fn run(bench: &Bench) -> Result<()> {
    let prepared = bench.prepared()?;
    let disk = prepared.disk.copy(&bench.directory)?.separate_boot("ro")?;
    let (initramfs, content) = other_initramfs(bench)?;
    let changes = bench.changes(&[("usr/share/tests-vm/version", b"2\n"), (&initramfs, &content)])?;
    let first = &prepared.commit.checksum;
    let second = bench.add_version(&disk, "ostree/repo", "2", &changes)?;

    let script = [STATE, ASK, STAGE_AND_FILL].concat();
    let Ended { report, disk, .. } = system::boot(bench, disk, &script, &Extras::default())?;
    system::check_healthy(&report)?;
    menu::check_first(&report, "status", first, "booted")?;
    check_boot(&report)?;
    expect::ok(&report, &["stage", "fill"])?;
    let reason = disk.run(menu::STAMP, &[])?;
    let told = reason.contains("/boot has") && reason.contains("free and needs");
    check(told, "the reason is kept, with what to do", &reason)?;
    check(disk.deployment()? == format!("debian/{first}.0"), "the old system is the default", &disk.entry)?;

    let extras = Extras { credentials: &EARLY, ..Extras::default() };
    let script = [STATE, ASK, CHECK_AND_CLEAR].concat();
    let Ended { report, disk, .. } = system::boot(bench, disk, &script, &extras)?;
    menu::check_first(&report, "status", &second, "staged")?;
    check_boot(&report)?;
    check_told(&report, reason.trim())?;
    menu::check_switched(&disk, &format!("debian/{second}.0"))?;
    check(disk.initrd == content, "the entry names the other initramfs", &disk.entry)?;
    system::check_orderly(&disk, "debian", "Bootloader updated")
}

/// The path of the tree's initramfs and what the next version has there: the same with another padding.
fn other_initramfs(bench: &Bench) -> Result<(String, Vec<u8>)> {
    let tree = &bench.prepared()?.tree.path;
    let modules = tree.join("usr/lib/modules");
    let entry = fs::read_dir(&modules)?.next().context("The tree has no kernel")??;
    let path = entry.path().join("initramfs.img");
    let mut content = fs::read(&path).with_context(|| format!("Reading {}", path.display()))?;
    content.extend_from_slice(&[0; 4]);
    Ok((format!("usr/lib/modules/{}/initramfs.img", entry.file_name().to_string_lossy()), content))
}

/// `/boot` is a file system of its own that refuses writes.
fn check_boot(report: &Report) -> Result<()> {
    let mounts = mounted::table(report.section("mounts")?)?;
    mounted::check_readonly(&mounts, "/boot")?;
    mounted::check_own_boot(&mounts, "ext4")
}

/// The failure was told, once; and finalization waits for the next shutdown since early in the boot.
fn check_told(report: &Report, reason: &str) -> Result<()> {
    let failed = report.section("failed")?;
    let only = failed.lines.len() == 1 && failed.text().starts_with("ostree-boot-complete.service");
    check(only, "ostree-boot-complete.service has failed, and nothing else", failed)?;
    expect::words(
        report,
        "told",
        &format!("ostree-finalize-staged.service failed on previous boot: {reason}"),
    )?;
    expect::words(report, "person", reason)?;
    expect::ok(report, &["stamp", "version", "clear"])?;
    for unit in ["early", "finalize"] {
        expect::lines(report, unit, &["ActiveState=active", "Result=success"])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
@@ section status
  \"checksum\": \"c\",
  \"staged\": true
}
@@ status 0
@@ section mounts
71 70 254:16 / /boot ro,relatime shared:2 - ext4 /dev/vdb ro
@@ status 0
@@ section failed
ostree-boot-complete.service loaded failed failed Report
@@ status 0
@@ section told
error: ostree-finalize-staged.service failed on previous boot: no room
@@ status 0
@@ section person
* debian c.0
warning: the last finalization failed: no room
@@ status 0
@@ section stamp
@@ status 0
@@ section version
@@ status 0
@@ section early
Result=success
ActiveState=active
@@ status 0
@@ section finalize
Result=success
ActiveState=active
@@ status 0
@@ section clear
@@ status 0
";

    fn verdict(report: &Report) -> Result<()> {
        menu::check_first(report, "status", "c", "staged")?;
        check_boot(report)?;
        check_told(report, "no room")
    }

    #[test]
    fn a_good_report_passes_and_each_change_of_it_fails() {
        let changes = [
            ("\"c\"", "\"d\""),
            ("\"staged\": true", "\"staged\": false"),
            ("/boot ro", "/boot rw"),
            ("254:16 / /boot", "254:16 /boot /boot"),
            ("ostree-boot-complete.service", "other.service"),
            ("failed Report\n", "failed Report\nother.service loaded failed failed Other\n"),
            ("boot: no room", "boot: other"),
            ("warning: the last finalization failed: no room\n", ""),
            ("stamp\n@@ status 0", "stamp\n@@ status 1"),
            ("version\n@@ status 0", "version\n@@ status 1"),
            ("early\nResult=success", "early\nResult=exit-code"),
            (
                "finalize\nResult=success\nActiveState=active",
                "finalize\nResult=success\nActiveState=inactive",
            ),
            ("clear\n@@ status 0", "clear\n@@ status 1"),
        ];
        expect::assert_each_change_fails(GOOD, verdict, &changes);
    }
}
