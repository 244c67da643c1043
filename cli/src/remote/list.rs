// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree remote list`.

use anyhow::Result;

use crate::Output;
use crate::global::Global;

/// List remote repository names
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree --repo=repo remote list --show-urls")]
pub(super) struct Args {
    /// Show remote URLs in list
    #[arg(short = 'u', long)]
    show_urls: bool,
}

impl Args {
    pub(super) fn run(&self, global: &Global, out: &mut Output<'_>) -> Result<()> {
        let (_, remotes) = super::open(global, None)?;
        let names = remotes.names();
        let width = names.iter().map(|name| name.len()).max().unwrap_or(0);
        for name in names {
            if self.show_urls {
                writeln!(out, "{name:width$}  {}", remotes.get(name)?.url()?)?;
            } else {
                writeln!(out, "{name}")?;
            }
        }
        Ok(())
    }
}
