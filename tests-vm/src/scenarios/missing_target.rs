// SPDX-License-Identifier: MIT OR Apache-2.0
//! A boot whose `ostree=` names nothing: it stops in the initramfs, at once, and the console says which link is missing.

use std::time::Duration;

use anyhow::Result;

use super::Bench;
use super::expect::check;
use crate::budget::Tier;
use crate::guest;
use crate::machine::{Machine, Start};

/// Measured under emulation: 14 s on a quiet machine.
const LIMIT: Duration = Duration::from_secs(200);

const TARGET: &str = "/ostree/boot.1/debian/0000/0";

pub(super) fn run(bench: &Bench) -> Result<()> {
    let prepared = bench.prepared()?;
    let options: Vec<&str> =
        prepared.disk.entry.options.split(' ').filter(|option| !option.starts_with("ostree=")).collect();
    let machine = Machine {
        directory: bench.directory.clone(),
        start: Start::Kernel {
            kernel: prepared.disk.kernel.clone(),
            initrd: vec![prepared.disk.initrd.clone()],
            arguments: format!(
                "{} ostree={TARGET} {} {}",
                options.join(" "),
                guest::ARGUMENTS,
                guest::SCENARIO_ARGUMENTS
            ),
        },
        disks: vec![(prepared.disk.image.clone(), "root")],
        credentials: guest::SCENARIO_CREDENTIALS.to_vec(),
    };
    let boot = machine.boot_in_vain(Tier::DracutInitramfs, LIMIT)?;
    println!("boot without a target: {:.1} s", boot.duration.as_secs_f64());
    check(
        boot.console.contains(TARGET.trim_start_matches('/')),
        "the console names the missing link",
        &boot.console,
    )
}
