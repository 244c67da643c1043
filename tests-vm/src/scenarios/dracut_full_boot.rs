// SPDX-License-Identifier: MIT OR Apache-2.0
//! The whole way: kernel, dracut's initramfs with our module, systemd, our generator and units, up to multi-user. What
//! is mounted where, what can be written, and whether our `ostree` and the C `ostree` recognise the deployment as the
//! booted one.

use anyhow::Result;

use super::system::{self, Extras};
use super::{Bench, menu, mounted};
use crate::budget::Tier;
use crate::machine::Boot;
use crate::report::Report;
use crate::{guest, peer};

pub(super) fn run(bench: &Bench) -> Result<()> {
    let report = boot(bench, &[], "")?;
    check_report(bench, &report)
}

/// A boot of the tree as it is, with archives appended to its initramfs and questions to the script.
pub(super) fn boot(bench: &Bench, initrd: &[Vec<u8>], questions: &str) -> Result<Report> {
    let prepared = bench.prepared()?;
    let programs = peer::collect(bench.environment.peer()?, &["usr/bin/ostree"], &bench.directory)?;
    let ask = format!("section status ostree admin status\nsection peer {} admin status\n", peer::COMMAND);
    let script = [system::STATE, mounted::SCRIPT, &ask, questions].concat();
    let extras = Extras { initrd, parts: &[&programs], ..Extras::default() };
    let credentials = guest::SCENARIO_CREDENTIALS.to_vec();
    let machine = system::machine(bench, &prepared.disk, &script, &extras, credentials)?;
    let Boot { report, duration, .. } = machine.boot(Tier::FullBoot, system::LIMIT)?;
    println!("full boot: {:.1} s", duration.as_secs_f64());
    Ok(report)
}

/// All is well, and both tools say so.
pub(super) fn check_report(bench: &Bench, report: &Report) -> Result<()> {
    let deployment = format!("{}.0", bench.prepared()?.commit.checksum);
    system::check_healthy(report)?;
    let expected = mounted::Expected { stateroot: "debian", deployment: &deployment, sysroot_readonly: true };
    mounted::check_all(report, &expected)?;
    for tool in ["status", "peer"] {
        menu::check_told(report, tool, &format!("* debian {deployment}"))?;
    }
    Ok(())
}
