// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin set-origin`.

use anyhow::{Context as _, Result, bail};
use repo::NewRemote;
use sysroot::Sysroot;
use upgrade::{NewOrigin, set_origin};

/// Set Origin and create a new origin file
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: ostree admin set-origin --set=gpg-verify=false origin file:///srv/repo debian/trixie\n\n\
    A remote that is there already stays as it is."
)]
pub(super) struct Args {
    /// The remote, which is added unless there is one of that name
    #[arg(value_name = "REMOTENAME")]
    remote: Option<String>,
    /// Where it is
    url: Option<String>,
    /// Follow this branch there; else the one that is followed now
    branch: Option<String>,
    /// Set config option KEY=VALUE for remote
    #[arg(short, long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Operate on the deployment INDEX, starting from zero; else on the running one
    #[arg(long)]
    index: Option<usize>,
}

impl Args {
    pub(super) fn run(&self, sysroot: &Sysroot) -> Result<()> {
        let (Some(remote), Some(url)) = (&self.remote, &self.url) else {
            bail!("REMOTENAME and URL must be specified")
        };
        let pair = |pair: &String| {
            let (key, value) = pair.split_once('=').context("Missing '=' in KEY=VALUE for --set")?;
            Ok((key.to_owned(), value.to_owned()))
        };
        let new = NewOrigin {
            remote: NewRemote {
                name: remote.clone(),
                url: url.clone(),
                branches: Vec::new(),
                items: self.set.iter().map(pair).collect::<Result<_>>()?,
            },
            branch: self.branch.clone(),
        };
        let lock = super::lock(sysroot)?;
        let loaded = sysroot.load()?;
        let all = &loaded.deployments;
        let index = match self.index {
            Some(index) => index,
            None => loaded.booted().context("Not currently booted into an OSTree system")?,
        };
        let deployment = all
            .get(index)
            .with_context(|| format!("Out of range deployment index {index}, expected < {}", all.len()))?;
        set_origin(&lock, &deployment.path, &new)
    }
}
