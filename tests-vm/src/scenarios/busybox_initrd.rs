// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shortest boot: a busybox initramfs, our static `ostree-prepare-root`, `switch_root`, and the mount table as the
//! first command in the deployment sees it. No systemd, no dynamic linker in the initramfs.

use std::time::Duration;

use anyhow::Result;

use super::Bench;
use super::expect::check;
use crate::budget::Tier;
use crate::guest;
use crate::machine::{Boot, Machine, Start};
use crate::mountinfo::{self, Mount};

/// Measured: 4.4 s on a quiet machine, under emulation.
const LIMIT: Duration = Duration::from_secs(120);

const SCRIPT: &str = "\
section mounts cat /proc/self/mountinfo
section booted test -e /run/ostree-booted
for place in usr etc; do section \"write $place\" touch /$place/written; done
";

pub(super) fn run(bench: &Bench) -> Result<()> {
    let prepared = bench.prepared()?;
    let machine = Machine {
        directory: bench.directory.clone(),
        start: Start::Kernel {
            kernel: prepared.disk.kernel.clone(),
            initrd: vec![guest::busybox_initramfs(&bench.environment, &prepared.tree.path, SCRIPT)?],
            arguments: format!("{} {}", prepared.disk.entry.options, guest::ARGUMENTS),
        },
        disks: vec![(prepared.disk.image.clone(), "root")],
        credentials: Vec::new(),
    };
    let Boot { report, duration, .. } = machine.boot(Tier::Busybox, LIMIT)?;
    println!("busybox boot: {:.1} s", duration.as_secs_f64());

    let mounts = mountinfo::parse(&report.section("mounts")?.lines).unwrap_or_default();
    let root = mountinfo::at(&mounts, "/").map(|mount| mount.root.as_str());
    let deployment = format!("/ostree/deploy/debian/deploy/{}.0", prepared.commit.checksum);
    check(root == Some(&deployment), "/ is the deployment", &mounts)?;
    for (point, expected) in [("/usr", true), ("/boot", true), ("/sysroot", true), ("/etc", false)] {
        let seen = mountinfo::at(&mounts, point);
        let what = format!("{point} is mounted {}", if expected { "read-only" } else { "for writing" });
        check(seen.map(Mount::read_only) == Some(expected), &what, seen)?;
    }
    check(report.section("booted")?.ok(), "/run/ostree-booted is there", "no such file")?;
    check(!report.section("write usr")?.ok(), "writing in /usr is refused", report.section("write usr")?)?;
    check(report.section("write etc")?.ok(), "writing in /etc succeeds", report.section("write etc")?)
}
