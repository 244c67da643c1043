// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree init`.

use anyhow::{Context as _, Result, bail};
use repo::{InitOptions, Mode, Repo};

use crate::global::Global;

/// Initialize a new empty repository
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree --repo=repo init --mode=archive")]
pub(crate) struct Args {
    /// Repository mode, any of bare, bare-user or archive
    #[arg(long, default_value = "bare")]
    mode: String,
    /// Globally unique ID for this repository as a collection of refs for redistribution to other repositories
    #[arg(long, value_name = "COLLECTION-ID")]
    collection_id: Option<String>,
}

impl Args {
    pub(crate) fn run(&self, global: &Global) -> Result<()> {
        let path = global.repo.as_deref().context("Command requires a --repo argument")?;
        if self.mode == "bare-split-xattrs" {
            bail!(
                "Mode bare-split-xattrs is not supported: the C tools make such a repository, but write nothing to it, \
                 either (Not allowed due to repo mode); use --mode=bare-user or --mode=archive"
            );
        }
        let Some(mode) = Mode::from_name(&self.mode) else {
            bail!("Invalid mode '{}' in repository configuration", self.mode)
        };
        if mode == Mode::BareUserOnly {
            bail!(
                "Mode bare-user-only is not supported yet: such a repository can be read, but not written; use \
                 --mode=bare-user or --mode=archive"
            );
        }
        Repo::init(path, &InitOptions { mode, collection_id: self.collection_id.clone() })?;
        Ok(())
    }
}
