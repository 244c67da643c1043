// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vm.laptop_mode` (Documentation/admin-guide/laptops/laptop-mode.rst of the kernel). While it is on, `syncfs` of an xfs also
//! brings the log to its place (`xfs_fs_sync_fs`): a program that takes synced for proven looks right then, and is wrong on any
//! other machine. It is off by default, but some virtual machines set it.

use anyhow::{Context, Result};

const FILE: &str = "/proc/sys/vm/laptop_mode";

/// The setting is off for as long as this lives.
#[derive(Debug)]
pub(crate) struct Off {
    before: String,
}

impl Off {
    /// Turns it off.
    pub(crate) fn new() -> Result<Self> {
        let before = std::fs::read_to_string(FILE).with_context(|| format!("Reading {FILE}"))?;
        if before.trim() != "0" {
            std::fs::write(FILE, "0").with_context(|| format!("Writing {FILE}"))?;
        }
        Ok(Self { before })
    }
}

impl Drop for Off {
    fn drop(&mut self) {
        // A program that was killed while it pushed a log has left it on.
        let _ = std::fs::write(FILE, &self.before);
    }
}
