// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree --version`, in the form that scripts parse.

use anyhow::Result;

use crate::Output;

/// The release of the C tools whose command line and formats are followed; scripts compare it.
const RELEASE: &str = "2025.2";

/// Names of features as the C tools have them; only what works stands here.
const FEATURES: &[&str] = &["inode64", "ex-fsverity", "selinux", "systemd", "release"];

pub(crate) fn print(out: &mut Output<'_>) -> Result<()> {
    writeln!(out, "libostree:\n Version: '{RELEASE}'")?;
    // In the place of the commit that the C tools were built from.
    writeln!(out, " Git: 'rust-{}'\n Features:", env!("CARGO_PKG_VERSION"))?;
    for feature in FEATURES {
        writeln!(out, "  - {feature}")?;
    }
    Ok(())
}
