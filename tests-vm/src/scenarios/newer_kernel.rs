// SPDX-License-Identifier: MIT OR Apache-2.0
//! Linux 7 with its root on an xfs, `/boot` in it. What a boot loader sees there is what the log of the file system has let go of,
//! and the switch of laptop mode, which once made it do so, is without effect. Two switches in one boot, none of which says that
//! a reboot has to come first; then the power goes, and the disk is read as a boot loader reads it: without replay.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::expect::{self, check};
use super::system::{self, Extras, STATE};
use super::{Bench, menu, mounted};
use crate::budget::Tier;
use crate::cpio::Archive;
use crate::disk::{self, Disk};
use crate::guest;
use crate::image::newer_kernel;
use crate::machine::{self, Boot, Machine};
use crate::report::Report;
use crate::small::VERSION_FILE;

/// The unit that ends the last boot in the initramfs.
const STOP: &str = "tests-vm-stop.service";

/// How long the boot that does not leave the initramfs may take. Measured under emulation: 14 s on a quiet machine, 34 s beside other work.
const LIMIT: Duration = Duration::from_secs(200);

/// How long a switch that copies nothing may take. Measured under emulation: 0.9 s, with the half second in which the switch of laptop
/// mode is found to move nothing; 10 s for each proof where that is not noticed.
const SWITCH: Duration = Duration::from_secs(8);

/// Two switches. The second one asks whether the first is proven.
const SCRIPT: &str = r#"
milliseconds() { read -r up idle </proc/uptime; echo "${up%.*}${up#*.}0"; }
took() { before=$(milliseconds); "$@"; status=$?; echo "took $(($(milliseconds) - before)) ms"; return $status; }
section kernel uname -r
section mounts cat /proc/self/mountinfo
section deploy took ostree admin deploy --karg=first=1 debian/trixie-backports/x86_64
section "after deploy" test ! -e /sysroot/ostree/boot-switch
section kargs took ostree admin kargs --append=second=2
section "after kargs" test ! -e /sysroot/ostree/boot-switch
section "laptop mode" cat /proc/sys/vm/laptop_mode
section status ostree admin status
"#;

pub(super) fn run(bench: &Bench) -> Result<()> {
    let tree = &bench.prepared()?.tree;
    let commit = newer_kernel::commit(&bench.environment, tree)?;
    let (disk, _) = disk::make_on(&bench.environment, &commit, &bench.directory, "mkfs.xfs")?;
    // Another initramfs makes it another set of boot files.
    let kernel = disk.run("cd ostree/deploy/debian/deploy/*.0/usr/lib/modules/* && pwd", &[])?;
    let kernel = kernel.trim().rsplit('/').next().context("a kernel without a directory")?.to_owned();
    let mut mark = Archive::default();
    mark.file("of-version-2", 0o644, b"2\n");
    let marked = machine::joined(&[disk.initrd.clone(), mark.finish()]);
    let initramfs = format!("usr/lib/modules/{kernel}/initramfs.img");
    let changes = bench.changes(&[(VERSION_FILE, b"2\n"), (&initramfs, &marked)])?;
    let second = bench.add_version_of(&disk, "ostree/repo", &commit.reference, "2", &changes)?;

    let script = [STATE, SCRIPT].concat();
    let credentials = guest::SCENARIO_CREDENTIALS.to_vec();
    let machine = system::machine(bench, &disk, &script, &Extras::default(), credentials)?;
    // Ends without unmounting anything.
    let Boot { report, duration, .. } = machine.boot_and_keep(Tier::FullBoot, system::LIMIT)?;
    println!("Linux 7, xfs root: {:.1} s", duration.as_secs_f64());
    check_report(&report)?;

    let seen = disk.without_replay()?;
    let deployment = seen.entry.options.clone();
    for argument in ["first=1", "second=2"] {
        let what = format!("a boot loader sees the entry with {argument}");
        check(deployment.split(' ').any(|word| word == argument), &what, &deployment)?;
    }
    check(seen.initrd == marked, "a boot loader sees the whole initramfs of it", seen.initrd.len())?;
    boot_into(bench, &seen, &kernel)?;
    let disk = disk.read_again()?;
    menu::check_switched(&disk, &format!("debian/{second}.0"))
}

fn check_report(report: &Report) -> Result<()> {
    system::check_healthy(report)?;
    let kernel = report.section("kernel")?;
    check(kernel.text().starts_with("7."), "the kernel is Linux 7", kernel)?;
    let mounts = mounted::table(report.section("mounts")?)?;
    check(
        mounts.iter().any(|mount| mount.mount_point == "/sysroot" && mount.file_system == "xfs"),
        "the root is an xfs",
        &mounts,
    )?;
    expect::ok(report, &["deploy", "kargs", "after deploy", "after kargs", "status"])?;
    for said in ["deploy", "kargs", "status"] {
        let section = report.section(said)?;
        check(!section.text().contains("reboot"), &format!("{said} asks for no reboot"), section)?;
    }
    expect::text(report, "laptop mode", "0")?;
    let (deploy, took) = (took(report, "deploy")?, took(report, "kargs")?);
    println!("deploy: {:.1} s, kargs: {:.1} s", deploy.as_secs_f64(), took.as_secs_f64());
    check(took < SWITCH, "a switch is quick", took)
}

fn took(report: &Report, section: &str) -> Result<Duration> {
    let section = report.section(section)?;
    let line = section.lines.iter().find_map(|line| line.strip_prefix("took ")?.strip_suffix(" ms"));
    Ok(Duration::from_millis(line.context("it does not say how long it took")?.parse()?))
}

/// Boots what a boot loader would, to the end of the initramfs: what it finds there is the root that was deployed.
fn boot_into(bench: &Bench, seen: &Disk, kernel: &str) -> Result<()> {
    let mut archive = Archive::default();
    for directory in ["etc", "etc/systemd", "etc/systemd/system"] {
        archive.directory(directory);
    }
    let unit = include_str!("../../guest/stop-in-initramfs.service");
    archive.file(&format!("etc/systemd/system/{STOP}"), 0o644, unit.as_bytes());
    let mut start = seen.start(&[archive.finish()]);
    start.add_argument(&format!("rd.systemd.wants={STOP}"));
    let machine = Machine {
        directory: bench.directory.clone(),
        start,
        disks: seen.images(),
        credentials: guest::SCENARIO_CREDENTIALS.to_vec(),
    };
    let boot = machine.boot_in_vain(Tier::DracutInitramfs, LIMIT)?;
    println!("its new deployment, to the end of the initramfs: {:.1} s", boot.duration.as_secs_f64());
    let expected = format!("root of version 2, kernel {kernel}");
    ensure!(boot.console.contains(&expected), "the console does not say {expected:?}: {}", boot.console);
    Ok(())
}
