// SPDX-License-Identifier: MIT OR Apache-2.0
//! The options of everything that plans before it does.

use anyhow::Result;
use sysroot::{Plan, Request, Sysroot};

use crate::Output;

#[derive(Debug, clap::Args)]
pub(super) struct DryRun {
    /// Print what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run: the plan for programs
    #[arg(long, requires = "dry_run")]
    json: bool,
}

impl DryRun {
    /// Whether nothing is to be changed.
    pub(super) fn is_on(&self) -> bool {
        self.dry_run
    }

    /// Plans a change and prints the plan.
    pub(super) fn show(&self, sysroot: &Sysroot, request: &Request, out: &mut Output<'_>) -> Result<()> {
        self.print(&sysroot.plan(request)?, out)
    }

    /// Prints a plan.
    pub(super) fn print(&self, plan: &Plan, out: &mut Output<'_>) -> Result<()> {
        if self.json {
            writeln!(out, "{}", serde_json::to_string_pretty(plan)?)?;
        } else {
            write!(out, "{plan}")?;
        }
        Ok(())
    }
}
