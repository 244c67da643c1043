// SPDX-License-Identifier: MIT OR Apache-2.0
//! The commit that a refspec names now.

use anyhow::Result;
use formats::Checksum;
use repo::{Refspec, Remotes, RepoError};
use sysroot::Sysroot;
use transport::local::{AgeCheck, Options as PullOptions};
use transport::remote::RemoteOptions;

use crate::{Options, Steps};

/// Pulls it, if it has a remote and pulling is wanted, and says which commit it is.
pub(crate) fn newest(
    sysroot: &Sysroot,
    refspec: &Refspec,
    options: &Options,
    deployed: &Checksum,
) -> Result<Checksum> {
    let repo = sysroot.repo();
    let pulls = !matches!(options.steps, Steps::DeployOnly | Steps::StageOnly);
    if let (Some(remote), true) = (&refspec.remote, pulls) {
        let wanted = match &options.override_commit {
            Some(commit) => format!("{}@{commit}", refspec.name),
            None => refspec.name.to_string(),
        };
        // A switch is a choice of what comes. A commit that is named may be older than the ref, which others have pulled meanwhile,
        // but not than the deployment.
        let age_check = match options.override_commit {
            _ if options.allow_downgrade || options.switch_to.is_some() => AgeCheck::None,
            Some(_) => AgeCheck::Commit(*deployed),
            None => AgeCheck::Refs,
        };
        let pull = PullOptions { age_check, ..PullOptions::new(vec![wanted]) };
        let remotes = Remotes::load(repo, Some(sysroot.path()))?;
        transport::remote::pull(repo, &remotes, remote, &RemoteOptions::default(), &pull)?;
    }
    match options.override_commit {
        Some(commit) => Ok(commit),
        None => repo.read_ref(refspec)?.ok_or_else(|| RepoError::RefNotFound(refspec.to_string()).into()),
    }
}
