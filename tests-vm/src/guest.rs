// SPDX-License-Identifier: MIT OR Apache-2.0
//! The things that are handed to a guest besides its disk: credentials, the payload, the busybox initramfs.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use fn_error_context::context;

use crate::cpio::Archive;
use crate::environment::Environment;

/// Kernel arguments of every boot: quiet, fast under emulation, and an end instead of a hang.
pub(crate) const ARGUMENTS: &str = "console=ttyS0 mitigations=off audit=0 quiet panic=-1 8250.nr_uarts=1 \
    systemd.show_status=no modprobe.blacklist=kvm,kvm_amd,aesni_intel,ghash_clmulni_intel,sha512_ssse3,sha256_ssse3,\
    sha1_ssse3,crct10dif_pclmul,crc32_pclmul,evdev,button,serio_raw";

/// Kernel arguments that start the scenario's unit instead of a login.
pub(crate) const SCENARIO_ARGUMENTS: &str =
    "systemd.getty_auto=no systemd.wants=tests-vm.service rd.shell=0 rd.emergency=poweroff";

/// Makes `run.sh` and the scenario's script ready in a directory, to be packed as payload.
pub(crate) const RUN_SCRIPT: &str = include_str!("../guest/run.sh");

/// The image's configuration of prepare-root.
pub(crate) const PREPARE_ROOT_CONF: &str = "usr/lib/ostree/prepare-root.conf";

/// A system credential: a name and its value.
pub(crate) type Credential = (&'static str, &'static str);

/// The unit that runs the payload, and what happens in place of an emergency shell.
pub(crate) const SCENARIO_CREDENTIALS: [Credential; 2] = [
    ("systemd.extra-unit.tests-vm.service", include_str!("../guest/tests-vm.service")),
    ("systemd.unit-dropin.emergency.service", include_str!("../guest/emergency.conf")),
];

/// The same, for a boot that ends by an orderly shutdown, in which services are stopped and disks unmounted.
pub(crate) const ORDERLY_CREDENTIALS: [Credential; 3] = [
    SCENARIO_CREDENTIALS[0],
    SCENARIO_CREDENTIALS[1],
    ("systemd.unit-dropin.tests-vm.service", include_str!("../guest/orderly.conf")),
];

/// The initramfs without systemd: busybox, the one module that the disk needs, our program, the scenario's script.
#[context("Making the busybox initramfs")]
pub(crate) fn busybox_initramfs(environment: &Environment, tree: &Path, script: &str) -> Result<Vec<u8>> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("Reading {}", path.display()));
    let modules = kernel_directory(tree)?.join("kernel");
    let mut archive = Archive::default();
    for directory in
        ["bin", "proc", "sys", "dev", "run", "sysroot", "payload", "usr", "usr/lib", "usr/lib/ostree", "etc"]
    {
        archive.directory(directory);
    }
    archive
        .file("init", 0o755, include_bytes!("../guest/busybox-init.sh"))
        .file("bin/busybox", 0o755, &read(&tree.join("usr/bin/busybox"))?)
        .file("virtio_blk.ko", 0o644, &read(&modules.join("drivers/block/virtio_blk.ko"))?)
        .file(
            "usr/lib/ostree/ostree-prepare-root",
            0o755,
            &read(&environment.program("usr/lib/ostree/ostree-prepare-root"))?,
        )
        .file(PREPARE_ROOT_CONF, 0o644, &read(&tree.join(PREPARE_ROOT_CONF))?)
        .file("payload/run.sh", 0o644, RUN_SCRIPT.as_bytes())
        .file("payload/scenario.sh", 0o644, script.as_bytes());
    Ok(archive.finish())
}

/// An archive to append to an initramfs: the administrator's layer of prepare-root's configuration.
pub(crate) fn configuration_initramfs(configuration: &str) -> Vec<u8> {
    let mut archive = Archive::default();
    archive.directory("etc/ostree").file("etc/ostree/prepare-root.conf", 0o644, configuration.as_bytes());
    archive.finish()
}

/// The one directory in `usr/lib/modules`.
pub(crate) fn kernel_directory(tree: &Path) -> Result<std::path::PathBuf> {
    let modules = tree.join("usr/lib/modules");
    let mut entries = fs::read_dir(&modules).with_context(|| format!("Reading {}", modules.display()))?;
    let entry = entries.next().with_context(|| format!("{} is empty", modules.display()))??;
    Ok(entry.path())
}
