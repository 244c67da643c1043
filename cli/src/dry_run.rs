// SPDX-License-Identifier: MIT OR Apache-2.0
//! The arguments of the commands that can print their plan instead of carrying it out.

use std::fmt::Display;

use anyhow::Result;
use serde::Serialize;

use crate::Output;

#[derive(Debug, clap::Args)]
pub(crate) struct DryRun {
    /// Print what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run: the plan for programs
    #[arg(long, requires = "dry_run")]
    json: bool,
}

impl DryRun {
    /// Whether nothing is to be changed.
    pub(crate) fn is_on(&self) -> bool {
        self.dry_run
    }

    /// Prints a plan.
    pub(crate) fn print(&self, plan: &(impl Display + Serialize), out: &mut Output<'_>) -> Result<()> {
        if self.json {
            writeln!(out, "{}", serde_json::to_string_pretty(plan)?)?;
        } else {
            write!(out, "{plan}")?;
        }
        Ok(())
    }
}
