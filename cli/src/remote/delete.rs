// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree remote delete`.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use repo::RemoteError;

use crate::global::Global;

/// Delete a remote repository
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree --repo=repo remote delete origin\n\nWhat was pulled from it stays.")]
pub(super) struct Args {
    /// The remote
    name: Option<String>,
    /// Do nothing if the provided remote does not exist
    #[arg(long)]
    if_exists: bool,
    /// Use sysroot at PATH (overrides --repo)
    #[arg(long, value_name = "PATH")]
    sysroot: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(&self, global: &Global) -> Result<()> {
        let name = self.name.as_deref().context("NAME must be specified")?;
        let (repo, mut remotes) = super::open(global, self.sysroot.as_deref())?;
        match remotes.delete(&repo, name) {
            Err(error)
                if self.if_exists && matches!(error.downcast_ref(), Some(RemoteError::NotFound(_))) =>
            {
                Ok(())
            }
            done => done,
        }
    }
}
