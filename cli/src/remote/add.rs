// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree remote add`.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use repo::{IfExists, NewRemote};

use crate::global::Global;

/// Add a remote repository
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: ostree --repo=repo remote add --no-gpg-verify origin file:///srv/repo exampleos/x86_64"
)]
pub(super) struct Args {
    /// The name; its refs become NAME:BRANCH
    name: Option<String>,
    /// A file:// URL or a path; [metalink=|mirrorlist=]URL of http are written down, but not used yet
    url: Option<String>,
    /// Branches that `pull` takes if it is told none
    #[arg(value_name = "BRANCH")]
    branches: Vec<String>,
    /// Set config option KEY=VALUE for remote
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Disable GPG verification
    #[arg(long)]
    no_gpg_verify: bool,
    /// Disable signature verification
    #[arg(long)]
    no_sign_verify: bool,
    /// Do nothing if the provided remote exists
    #[arg(long)]
    if_not_exists: bool,
    /// Replace the provided remote if it exists
    #[arg(long)]
    force: bool,
    /// This remote has content not fetched via libostree
    #[arg(long, value_name = "NAME")]
    custom_backend: Option<String>,
    /// Use URL when fetching content
    #[arg(long, value_name = "URL")]
    contenturl: Option<String>,
    /// Globally unique ID for this repository as a collection of refs
    #[arg(long, value_name = "COLLECTION-ID")]
    collection_id: Option<String>,
    /// Use sysroot at PATH (overrides --repo)
    #[arg(long, value_name = "PATH")]
    sysroot: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(&self, global: &Global) -> Result<()> {
        if self.if_not_exists && self.force {
            bail!("Can only specify one of --if-not-exists and --force");
        }
        let (Some(name), Some(url)) = (&self.name, &self.url) else {
            bail!("NAME and URL must be specified")
        };
        let if_exists = match (self.if_not_exists, self.force) {
            (true, _) => IfExists::Keep,
            (_, true) => IfExists::Replace,
            _ => IfExists::Fail,
        };
        let new = NewRemote {
            name: name.clone(),
            url: url.clone(),
            branches: self.branches.clone(),
            items: self.items()?,
        };
        let (repo, mut remotes) = super::open(global, self.sysroot.as_deref())?;
        remotes.add(&repo, &new, if_exists)?;
        Ok(())
    }

    /// In the order in which the C tools write them.
    fn items(&self) -> Result<Vec<(String, String)>> {
        let mut items = Vec::new();
        let mut add = |key: &str, value: &str| items.push((key.to_owned(), value.to_owned()));
        if let Some(url) = &self.contenturl {
            add("contenturl", url);
        }
        if let Some(backend) = &self.custom_backend {
            add("custom-backend", backend);
        }
        for pair in &self.set {
            let (key, value) = pair.split_once('=').context("Missing '=' in KEY=VALUE for --set")?;
            add(key, value);
        }
        if self.no_gpg_verify || self.no_sign_verify {
            add("gpg-verify", "false");
        }
        if self.no_sign_verify {
            add("sign-verify", "false");
        }
        if let Some(id) = &self.collection_id {
            add("collection-id", id);
        }
        Ok(items)
    }
}
