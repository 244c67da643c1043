// SPDX-License-Identifier: MIT OR Apache-2.0
//! The whole way: kernel, dracut's initramfs with our module, systemd, our generator and units, up to multi-user; with
//! both values of `sysroot.readonly`. What is mounted where, what can be written, and whether our `ostree` and the C
//! `ostree` recognise the deployment as the booted one.

use std::time::Duration;

use anyhow::Result;

use super::{Bench, check};
use crate::budget::Tier;
use crate::guest;
use crate::machine::{Boot, Machine};
use crate::mountinfo;
use crate::report::Report;
use crate::{payload, peer};

/// Measured under emulation: 27 s on a quiet machine, 115 s on one that compiles on all cores beside it.
const LIMIT: Duration = Duration::from_secs(400);

/// `sysroot.readonly=true`, as the tree's own configuration has it.
pub(super) fn readonly(bench: &Bench) -> Result<()> {
    boot_and_check(bench, true)
}

/// `sysroot.readonly=false`, by the administrator's layer of the configuration.
pub(super) fn writable(bench: &Bench) -> Result<()> {
    boot_and_check(bench, false)
}

fn boot_and_check(bench: &Bench, sysroot_readonly: bool) -> Result<()> {
    let prepared = bench.prepared()?;
    let peer = peer::collect(bench.environment.peer()?, &bench.directory)?;
    let payload = payload::pack(&bench.directory, &script(), &[&peer])?;
    let mut initrd = vec![prepared.disk.initrd.clone()];
    if !sysroot_readonly {
        initrd.push(guest::configuration_initramfs("[sysroot]\nreadonly=false\n"));
    }
    let machine = Machine {
        directory: bench.directory.clone(),
        kernel: prepared.disk.kernel.clone(),
        initrd,
        arguments: format!(
            "{} {} {}",
            prepared.disk.entry.options,
            guest::ARGUMENTS,
            guest::SCENARIO_ARGUMENTS
        ),
        disks: vec![(prepared.disk.image.clone(), "root"), (payload, "payload")],
        credentials: guest::SCENARIO_CREDENTIALS.to_vec(),
    };
    let Boot { report, duration, .. } = machine.boot(Tier::FullBoot, LIMIT)?;
    println!("full boot, sysroot.readonly={sysroot_readonly}: {:.1} s", duration.as_secs_f64());
    let deployment = format!("{}.0", prepared.commit.checksum);
    check_mounts(&report, &deployment, sysroot_readonly)?;
    check_writes(&report, sysroot_readonly)?;
    check_units(&report)?;
    check_status(&report, "peer", &deployment)?;
    check_status(&report, "status", &deployment)
}

fn script() -> String {
    format!(
        "section running systemctl is-system-running --wait\n\
         section failed systemctl --failed --plain --no-legend --no-pager\n\
         section remount systemctl is-active ostree-remount.service\n\
         section mounts cat /proc/self/mountinfo\n\
         section booted test -e /run/ostree-booted\n\
         for place in usr etc var sysroot; do section \"write $place\" touch /$place/written; done\n\
         section status ostree admin status\n\
         section peer {} admin status\n",
        peer::COMMAND
    )
}

fn check_mounts(report: &Report, deployment: &str, sysroot_readonly: bool) -> Result<()> {
    let section = report.section("mounts")?;
    let mounts = mountinfo::parse(&section.lines);
    check(mounts.is_some(), "the mount table is readable", &section.lines)?;
    let mounts = mounts.unwrap_or_default();
    let root_of = |point: &str| mountinfo::at(&mounts, point).map(|mount| mount.root.as_str());
    let deployment = format!("/ostree/deploy/debian/deploy/{deployment}");
    check(root_of("/") == Some(&deployment), "/ is the deployment", root_of("/"))?;
    check(root_of("/sysroot") == Some("/"), "/sysroot is the physical root", root_of("/sysroot"))?;
    check(root_of("/var") == Some("/ostree/deploy/debian/var"), "/var is the stateroot's", root_of("/var"))?;
    check(root_of("/boot") == Some("/boot"), "/boot is the one of the physical root", root_of("/boot"))?;
    let usr = mountinfo::at(&mounts, "/usr");
    check(usr.is_some_and(mountinfo::Mount::read_only), "/usr is mounted read-only", usr)?;
    let sysroot = mountinfo::at(&mounts, "/sysroot");
    check(
        sysroot.is_some_and(|mount| mount.read_only() == sysroot_readonly && mount.file_system == "ext4"),
        "/sysroot is mounted as sysroot.readonly says",
        sysroot,
    )?;
    check(report.section("booted")?.ok(), "/run/ostree-booted is there", "no such file")
}

fn check_writes(report: &Report, sysroot_readonly: bool) -> Result<()> {
    for (place, allowed) in [("usr", false), ("etc", true), ("var", true), ("sysroot", !sysroot_readonly)] {
        let section = report.section(&format!("write {place}"))?;
        let what = format!("writing in /{place} {}", if allowed { "succeeds" } else { "is refused" });
        check(section.ok() == allowed, &what, section)?;
        let refused_as_read_only = allowed || section.text().contains("Read-only file system");
        check(refused_as_read_only, &format!("/{place} is refused as read-only"), section)?;
    }
    Ok(())
}

fn check_units(report: &Report) -> Result<()> {
    let failed = report.section("failed")?;
    check(failed.ok() && failed.text().trim().is_empty(), "no unit failed", failed)?;
    let running = report.section("running")?;
    check(running.text() == "running", "the system is running", running)?;
    let remount = report.section("remount")?;
    check(remount.text() == "active", "ostree-remount.service ran", remount)
}

fn check_status(report: &Report, section: &str, deployment: &str) -> Result<()> {
    let section = report.section(section)?;
    let booted = format!("* debian {deployment}");
    let found = section.lines.iter().any(|line| line.trim_start().starts_with(&booted));
    check(section.ok() && found, &format!("status names {booted:?} as booted"), section)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
@@ section mounts
67 70 254:0 / /sysroot ro,relatime shared:5 - ext4 /dev/vda rw
70 1 254:0 /ostree/deploy/debian/deploy/c.0 / rw,relatime shared:1 - ext4 /dev/vda rw
71 70 254:0 /boot /boot rw,relatime shared:2 - ext4 /dev/vda rw
73 70 254:0 /ostree/deploy/debian/deploy/c.0/usr /usr ro,relatime shared:4 - ext4 /dev/vda rw
75 70 254:0 /ostree/deploy/debian/var /var rw,relatime shared:4 - ext4 /dev/vda rw
@@ status 0
@@ section booted
@@ status 0
@@ section write usr
touch: cannot touch '/usr/written': Read-only file system
@@ status 1
@@ section write etc
@@ status 0
@@ section write var
@@ status 0
@@ section write sysroot
touch: cannot touch '/sysroot/written': Read-only file system
@@ status 1
@@ section failed
@@ status 0
@@ section running
running
@@ status 0
@@ section remount
active
@@ status 0
@@ section status
* debian c.0
    origin refspec: debian/trixie/x86_64
@@ status 0
";

    fn verdict(text: &str) -> Result<()> {
        let report = Report::parse(text);
        check_mounts(&report, "c.0", true)?;
        check_writes(&report, true)?;
        check_units(&report)?;
        check_status(&report, "status", "c.0")
    }

    #[test]
    fn a_good_report_passes_and_each_change_of_it_fails() {
        verdict(GOOD).unwrap();
        for (from, to) in [
            ("deploy/c.0 / ", "deploy/c.1 / "),
            ("/ /sysroot ro", "/ /sysroot rw"),
            ("/ /sysroot ro", "/ostree /sysroot ro"),
            ("/boot /boot", "/boot /other"),
            ("/usr ro", "/usr rw"),
            ("debian/var /var", "other/var /var"),
            ("booted\n@@ status 0", "booted\n@@ status 1"),
            (
                "'/usr/written': Read-only file system\n@@ status 1",
                "'/usr/written': Read-only file system\n@@ status 0",
            ),
            ("'/usr/written': Read-only file system", "'/usr/written': No space left on device"),
            ("write etc\n@@ status 0", "write etc\n@@ status 1"),
            ("write var\n@@ status 0", "write var\n@@ status 1"),
            ("write sysroot\n", "write elsewhere\n"),
            ("section failed\n", "section failed\nostree-remount.service\n"),
            ("running\n@@", "degraded\n@@"),
            ("active\n", "inactive\n"),
            ("* debian", "  debian"),
            ("debian c.0", "debian c.1"),
        ] {
            assert!(GOOD.contains(from), "{from:?}");
            assert!(verdict(&GOOD.replacen(from, to, 1)).is_err(), "{from:?} → {to:?}");
        }
        let writable = Report::parse(GOOD);
        assert!(check_mounts(&writable, "c.0", false).is_err());
        assert!(check_writes(&writable, false).is_err());
    }
}
