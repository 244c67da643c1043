// SPDX-License-Identifier: MIT OR Apache-2.0
//! The service that finalizes a staged deployment while the system shuts down.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use fn_error_context::context;

/// The unit that makes the switch at shutdown.
pub(crate) const SERVICE: &str = "ostree-finalize-staged.service";

/// The program that starts it in the boot, with its arguments.
pub(crate) const START_LATER: [&str; 4] = ["systemctl", "start", "--no-block", SERVICE];

/// Starting it does nothing, but only what was started is stopped at shutdown.
#[context("Starting {SERVICE}, which applies the update at shutdown")]
pub(crate) fn start() -> Result<()> {
    let status = Command::new("systemctl").args(["start", SERVICE]).status().context("Running systemctl")?;
    ensure!(status.success(), "systemctl: {status}; see `systemctl status {SERVICE}`");
    Ok(())
}

/// As when it is staged, but we are a part of the boot ourselves: who waited here would wait for ever.
#[context("Starting {SERVICE}, which applies the update at shutdown")]
pub(crate) fn start_later() -> Result<()> {
    let [program, arguments @ ..] = START_LATER;
    let status = Command::new(program).args(arguments).status().context("Running systemctl")?;
    ensure!(status.success(), "systemctl: {status}; see `systemctl status {SERVICE}`");
    Ok(())
}
