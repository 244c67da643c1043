// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree --version`, in the form that scripts parse.

use anyhow::Result;

use crate::Output;

/// Names that scripts look for; only what works stands here.
const FEATURES: &[&str] = &["inode64"];

pub(crate) fn print(out: &mut Output<'_>) -> Result<()> {
    writeln!(out, "libostree:\n Version: '{}'\n Features:", env!("CARGO_PKG_VERSION"))?;
    for feature in FEATURES {
        writeln!(out, "  - {feature}")?;
    }
    Ok(())
}
