// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree remote summary`.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::Output;
use crate::global::Global;
use crate::summary::Wanted;

/// Show remote summary
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree --repo=repo remote summary origin")]
pub(super) struct Args {
    /// The remote
    name: Option<String>,
    /// Show raw variant data
    #[arg(long)]
    raw: bool,
    /// List the available metadata keys
    #[arg(long)]
    list_metadata_keys: bool,
    /// Print string value of metadata key
    #[arg(long, value_name = "KEY")]
    print_metadata_key: Option<String>,
    /// Accepted for compatibility: nothing of a local remote is cached
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(&self, global: &Global, out: &mut Output<'_>) -> Result<()> {
        let name = self.name.as_deref().context("NAME must be specified")?;
        let (_, remotes) = super::open(global, None)?;
        let data = transport::remote::summary(&remotes, name)?.with_context(|| {
            format!("Remote server has no summary file: {name}; make it there with `ostree summary -u`")
        })?;
        let key = self.print_metadata_key.as_deref();
        Wanted { raw: self.raw, keys: self.list_metadata_keys, key }.print(&data, out)
    }
}
