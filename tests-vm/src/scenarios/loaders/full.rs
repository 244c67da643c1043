// SPDX-License-Identifier: MIT OR Apache-2.0
//! A whole Debian, started by a boot loader. Not by U-Boot: it started kernel and Debian, and the guest reported nothing. Probably it hands on
//! tables of its own in place of QEMU's SMBIOS, so that what the guest is told by credentials does not arrive. What it starts is the small system.

use anyhow::Result;

use super::{BootLoader, Extlinux, GrubBios, Machine, NewerGrub, WholeDisk, loader, machine};
use crate::budget::Tier;
use crate::guest;
use crate::machine::Boot;
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

/// All units are well, and our tools see what the loader sees.
fn check(bench: &Bench, loader: &dyn BootLoader) -> Result<()> {
    let commit = &bench.prepared()?.commit;
    let disk = loader::install(loader, &bench.environment, commit, &bench.directory)?;
    let verify = if disk.has_boot() { MOUNT } else { "" };
    disk.run(verify, &[])?;
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
