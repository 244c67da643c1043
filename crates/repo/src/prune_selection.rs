// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pruning by refs that each have a history of their own.

use anyhow::{Context as _, Result, bail};
use formats::Checksum;
use formats::object::{ObjectName, ObjectType};

use crate::traverse::is_missing;
use crate::{Depth, Reachable, Refspec, Repo, RepoError};

/// The history of each ref that a prune keeps, where refs are not all treated alike.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Parents are kept as long as they are not older than this many seconds since the epoch, whatever the depth.
    pub keep_younger_than: Option<u64>,
    /// Refs that are pruned, while all others keep their history; all refs, where none is named.
    pub only: Vec<Refspec>,
    /// Refs that keep a depth of their own, whatever the time; without one they are only pruned with the others.
    pub retain: Vec<(Refspec, Option<Depth>)>,
}

impl Selection {
    /// Whether nothing is selected.
    pub fn is_empty(&self) -> bool {
        self.keep_younger_than.is_none() && self.only.is_empty() && self.retain.is_empty()
    }

    /// Reads `BRANCH=DEPTH`; the depth -1 stands for all parents, and 0, as for the C tools, for no depth of its own.
    ///
    /// # Errors
    /// The text is of another form.
    pub fn parse_retain(text: &str) -> Result<(Refspec, Option<Depth>)> {
        let (name, depth) = text
            .split_once('=')
            .with_context(|| format!("Invalid value {text}, must specify BRANCH=DEPTH"))?;
        let Ok(depth) = depth.trim_start().parse::<i64>() else { bail!("Invalid depth {depth}") };
        Ok((name.parse()?, (depth != 0).then(|| Depth::from_number(depth))))
    }

    /// Checks that the refs that are named alone are there.
    ///
    /// # Errors
    /// One is not.
    pub(crate) fn check(&self, repo: &Repo) -> Result<()> {
        for name in &self.only {
            if repo.ref_text(name)?.is_none() {
                return Err(RepoError::RefNotFound(name.to_string()).into());
            }
        }
        Ok(())
    }

    /// Adds the history that a ref keeps.
    pub(crate) fn add(
        &self,
        needed: &mut Reachable,
        repo: &Repo,
        (name, commit): (&Refspec, &Checksum),
        depth: Depth,
        commits_only: bool,
    ) -> Result<()> {
        let retained =
            self.retain.iter().rev().find(|(retained, _)| retained == name).map(|(_, depth)| *depth);
        if !self.only.is_empty() && !self.only.contains(name) && retained.is_none() {
            return needed.add_history(repo, commit, Depth::All, commits_only);
        }
        match (retained.flatten(), self.keep_younger_than) {
            (Some(retained), _) => needed.add_history(repo, commit, retained, commits_only),
            (None, Some(time)) => add_younger(needed, repo, commit, time, commits_only),
            (None, None) => needed.add_history(repo, commit, depth, commits_only),
        }
    }
}

/// Adds a commit, and those before it up to the first that is older.
fn add_younger(
    needed: &mut Reachable,
    repo: &Repo,
    commit: &Checksum,
    time: u64,
    commits_only: bool,
) -> Result<()> {
    needed.add_history(repo, commit, Depth::Parents(0), commits_only)?;
    let mut next = Some(*commit);
    while let Some(checksum) = next {
        let name = ObjectName::new(checksum, ObjectType::Commit);
        let loaded = match repo.load_commit(&checksum) {
            Err(error) if is_missing(&error, &name) => break,
            loaded => loaded?,
        };
        if loaded.timestamp < time {
            break;
        }
        needed.add_history(repo, &checksum, Depth::Parents(0), commits_only)?;
        next = loaded.parent;
    }
    Ok(())
}
