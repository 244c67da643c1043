// SPDX-License-Identifier: MIT OR Apache-2.0
//! A whole Debian, started by a boot loader.

use std::ffi::OsStr;

use anyhow::{Context, Result};

use super::boots::machine;
use crate::budget::Tier;
use crate::guest;
use crate::loader::{self, BootLoader, Extlinux, GrubBios, NewerGrub, Uboot, WholeDisk};
use crate::machine::{Boot, Machine};
use crate::report::Report;
use crate::scenarios::{Bench, expect, menu, system};

pub(in crate::scenarios) fn extlinux(bench: &Bench) -> Result<()> {
    check(bench, &Extlinux)
}

pub(in crate::scenarios) fn grub_bios(bench: &Bench) -> Result<()> {
    check(bench, &GrubBios { own_boot: true })
}

pub(in crate::scenarios) fn grub_bios_on_root(bench: &Bench) -> Result<()> {
    check(bench, &GrubBios { own_boot: false })
}

pub(in crate::scenarios) fn grub_entries(bench: &Bench) -> Result<()> {
    check(bench, &NewerGrub::fetch(&bench.environment)?)
}

/// U-Boot hands on tables of its own in place of QEMU's SMBIOS, by which credentials come.
pub(in crate::scenarios) fn uboot(bench: &Bench) -> Result<()> {
    let uboot = Uboot::fetch(&bench.environment)?;
    check_with(bench, &uboot, write_units)
}

fn check(bench: &Bench, loader: &dyn BootLoader) -> Result<()> {
    check_with(bench, loader, |_| Ok(()))
}

/// All units are well, and our tools see what the loader sees.
fn check_with(
    bench: &Bench,
    loader: &dyn BootLoader,
    prepare: impl FnOnce(&WholeDisk) -> Result<()>,
) -> Result<()> {
    let commit = &bench.prepared()?.commit;
    let disk = loader::install(loader, &bench.environment, commit, &bench.directory)?;
    let verify = if disk.has_boot() { MOUNT } else { "" };
    disk.run(verify, &[])?;
    prepare(&disk)?;
    let ask = "section status ostree admin status\nsection verify ostree-bootloader verify\n";
    let report = boot(bench, loader, &disk, ask)?;
    menu::check_told(&report, "status", &format!("* debian {}.0", commit.checksum))?;
    expect::ok(&report, &["verify"])?;
    expect::words(&report, "verify", loader.kind())
}

/// Has the deployment mount its `/boot`, on a busy machine too, on which systemd might not wait for its device.
const MOUNT: &str = "for deployment in ostree/boot.?/*/*/0; do
    echo 'LABEL=ostree-boot /boot ext4 defaults,x-systemd.device-timeout=10min 0 2' >>\"$deployment/etc/fstab\"
done";

/// Writes what credentials say into the `/etc` of the deployment.
fn write_units(disk: &WholeDisk) -> Result<()> {
    for (name, text) in guest::ORDERLY_CREDENTIALS {
        let unit = name.strip_prefix("systemd.extra-unit.").map(str::to_owned);
        let drop_in = || Some(format!("{}.d/tests-vm.conf", name.strip_prefix("systemd.unit-dropin.")?));
        let path = unit.or_else(drop_in).with_context(|| format!("{name} is no unit"))?;
        disk.run(UNIT, &[OsStr::new(&path), OsStr::new(text)])?;
    }
    Ok(())
}

const UNIT: &str = r#"for deployment in ostree/boot.?/*/*/0; do
    file=$deployment/etc/systemd/system/$1
    mkdir -p "${file%/*}"
    printf %s "$2" >"$file"
done"#;

/// Starts the disk with a script; all units are well.
pub(super) fn boot(bench: &Bench, loader: &dyn BootLoader, disk: &WholeDisk, script: &str) -> Result<Report> {
    let machine = Machine {
        credentials: guest::ORDERLY_CREDENTIALS.to_vec(),
        ..machine(bench, loader, disk, &[system::STATE, script].concat(), &[])?
    };
    let Boot { report, duration, .. } = machine.boot_and_keep(Tier::FullBoot, system::LIMIT)?;
    println!("Debian by {} and {}: {:.1} s", loader.firmware(), loader.kind(), duration.as_secs_f64());
    system::check_healthy(&report)?;
    Ok(report)
}
