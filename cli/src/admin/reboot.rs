// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rebooting into what was deployed.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use sysroot::Sysroot;

/// Asks the service manager to reboot, if the running system is the one that was changed.
pub(super) fn reboot(sysroot: &Sysroot) -> Result<()> {
    if !sysroot.load()?.is_running_system {
        log::info!("Not rebooting: {} is not the running system", sysroot.path().display());
        return Ok(());
    }
    let status = Command::new("systemctl").arg("reboot").status().context("Running systemctl reboot")?;
    ensure!(status.success(), "systemctl reboot: {status}");
    Ok(())
}
