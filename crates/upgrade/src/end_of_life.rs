// SPDX-License-Identifier: MIT OR Apache-2.0
//! The end of a branch, as a commit of it announces it.

use anyhow::{Context as _, Result};
use formats::Checksum;
use formats::object::{Commit, metadata_key};
use repo::{Refspec, Repo};

/// The branch that continues one that has ended.
const REBASE: &str = "ostree.endoflife-rebase";

/// The end of a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndOfLife {
    /// The branch.
    pub refspec: String,
    /// The message about it for people; may be empty.
    pub message: String,
    /// The branch that is followed instead.
    pub successor: Option<Refspec>,
}

impl EndOfLife {
    /// Reads it from the commit of `refspec`; `None` if the commit announces no end.
    pub(crate) fn of(repo: &Repo, refspec: &Refspec, commit: &Checksum) -> Result<Option<Self>> {
        let loaded = repo.load_commit(commit)?;
        let message = text(&loaded, metadata_key::END_OF_LIFE)?;
        let successor = match text(&loaded, REBASE)? {
            Some(text) => {
                let next: Refspec = text.parse().with_context(|| format!("Commit {commit}: {REBASE}"))?;
                // A branch without remote is one of the same remote.
                Some(Refspec { remote: next.remote.or_else(|| refspec.remote.clone()), name: next.name })
            }
            None => None,
        };
        if message.is_none() && successor.is_none() {
            return Ok(None);
        }
        Ok(Some(Self { refspec: refspec.to_string(), message: message.unwrap_or_default(), successor }))
    }
}

impl std::fmt::Display for EndOfLife {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is at its end of life", self.refspec)?;
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        self.successor.as_ref().map_or(Ok(()), |next| write!(f, "; following {next} from now on"))
    }
}

/// A text among a commit's metadata; what is no text is none.
fn text(commit: &Commit, key: &str) -> Result<Option<String>> {
    let Some(value) = commit.lookup(key)? else { return Ok(None) };
    Ok(value.view()?.as_str().ok().map(str::to_owned))
}
