// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a remote: what its configuration says, and then as from any repository.

use anyhow::{Context as _, Result, bail};
use formats::Checksum;
use repo::{RefName, Remote, Remotes, Repo, Stats};

use crate::local::{self, Options};
use crate::summary;
use crate::url::local_path;

/// How a remote is used.
#[derive(Debug, Clone, Default)]
pub struct RemoteOptions {
    /// Another URL than the configured one.
    pub url: Option<String>,
    /// Refs become the destination's own, and all come along if none is named.
    pub mirror: bool,
}

/// Pulls from the remote `name`. Without refs those come that it is configured for.
///
/// Errors: [`repo::RemoteError`] for a remote that is not there, or that asks for checks that are not built;
/// [`crate::UrlError`]; whatever [`local::pull`] says.
pub fn pull(
    repo: &Repo,
    remotes: &Remotes,
    name: &str,
    how: &RemoteOptions,
    options: &Options,
) -> Result<Stats> {
    let remote = remotes.get(name)?;
    remote.check_usable()?;
    let source = open(&remote, how.url.as_deref())?;
    let mut options = options.clone();
    if options.refs.is_empty() && !how.mirror {
        options.refs = remote.branches()?;
        if options.refs.is_empty() {
            bail!("No configured branches for remote {name}");
        }
    }
    options.remote = (!how.mirror).then(|| name.to_owned());
    let stats = local::pull(repo, &source, &options)?;
    if how.mirror && options.refs.is_empty() {
        summary::copy(repo, &source)?;
    }
    Ok(stats)
}

/// The refs that a remote offers, sorted.
pub fn refs(remotes: &Remotes, name: &str) -> Result<Vec<(RefName, Checksum)>> {
    let remote = remotes.get(name)?;
    remote.check_configured()?;
    local::own_refs(&open(&remote, None)?)
}

/// Reads the bytes of a remote's summary, if it has one.
///
/// # Errors
/// There is no such remote, or it is none of this machine.
pub fn summary(remotes: &Remotes, name: &str) -> Result<Option<Vec<u8>>> {
    let remote = remotes.get(name)?;
    remote.check_configured()?;
    open(&remote, None)?.read_summary()
}

fn open(remote: &Remote<'_>, url: Option<&str>) -> Result<Repo> {
    let url = url.map_or_else(|| remote.url(), |url| Ok(url.to_owned()))?;
    let path = local_path(&url).with_context(|| format!("Remote \"{}\"", remote.name()))?;
    Repo::open(path)
}
