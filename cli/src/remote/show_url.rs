// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree remote show-url`.

use anyhow::{Context as _, Result};

use crate::Output;
use crate::global::Global;

/// Show remote repository URL
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree --repo=repo remote show-url origin")]
pub(super) struct Args {
    /// The remote
    name: Option<String>,
}

impl Args {
    pub(super) fn run(&self, global: &Global, out: &mut Output<'_>) -> Result<()> {
        let name = self.name.as_deref().context("NAME must be specified")?;
        let (_, remotes) = super::open(global, None)?;
        writeln!(out, "{}", remotes.get(name)?.url()?)?;
        Ok(())
    }
}
