// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin pin`.

use anyhow::{Result, bail};
use deploy::Request;
use sysroot::{Loaded, Sysroot, Which};

use super::dry_run::DryRun;
use crate::Output;

/// Change the "pinning" state of a deployment: a pinned one is never removed to make room
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree admin pin booted")]
pub(super) struct Args {
    /// Numbers as `ostree admin status` lists them, or booted, pending, rollback
    #[arg(required = true, value_name = "INDEX")]
    which: Vec<String>,
    /// Reverse the effect
    #[arg(short, long)]
    unpin: bool,
    #[command(flatten)]
    pub(super) dry_run: DryRun,
}

impl Args {
    pub(super) fn run(&self, sysroot: &Sysroot, out: &mut Output<'_>) -> Result<()> {
        if self.dry_run.is_on() {
            let loaded = sysroot.load()?;
            let indices = self.which.iter().map(|which| find(&loaded, which)).collect::<Result<_>>()?;
            return self.dry_run.show(sysroot, &Request::Pin { indices, on: !self.unpin }, out);
        }
        let lock = super::lock(sysroot)?;
        let loaded = sysroot.load()?;
        let state = if self.unpin { "unpinned" } else { "pinned" };
        for which in &self.which {
            let index = find(&loaded, which)?;
            let Some(deployment) = loaded.deployments.get(index) else { continue };
            let already = !deploy::pin(&lock, &deployment.path, !self.unpin)?;
            writeln!(out, "Deployment {index} is {} {state}", if already { "already" } else { "now" })?;
        }
        Ok(())
    }
}

fn find(loaded: &Loaded, which: &str) -> Result<usize> {
    let found = match which {
        "booted" => loaded.find(Which::Booted),
        "pending" => loaded.find(Which::Pending),
        "rollback" => loaded.find(Which::Rollback),
        number => match number.parse() {
            Ok(index) => return loaded.check(index),
            Err(_) => bail!("Invalid index: {number}: must be a number, booted, pending or rollback"),
        },
    };
    match found {
        Some(index) => Ok(index),
        None => bail!("Deployment type not found: {which}"),
    }
}
