// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree log`.

use anyhow::Result;
use formats::object::{ObjectName, ObjectType};

use crate::global::Global;
use crate::{Output, describe};

/// Show log starting at commit or ref
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree --repo=repo log exampleos/x86_64")]
pub(crate) struct Args {
    /// Commit or ref to begin at
    rev: String,
    /// Show raw variant data
    #[arg(long)]
    raw: bool,
}

impl Args {
    pub(crate) fn run(&self, global: &Global, out: &mut Output<'_>) -> Result<()> {
        let repo = global.open()?;
        let mut next = Some(repo.resolve_rev(&self.rev)?);
        let mut first = true;
        while let Some(checksum) = next {
            // After a shallow pull the history ends somewhere.
            if !first && !repo.has_object(ObjectName::new(checksum, ObjectType::Commit))? {
                writeln!(out, "<< History beyond this commit not fetched >>")?;
                break;
            }
            let commit = repo.load_commit(&checksum)?;
            match self.raw {
                true => describe::raw_commit(out, &repo, &checksum, true)?,
                false => describe::commit(out, &checksum, &commit)?,
            }
            next = commit.parent;
            first = false;
        }
        Ok(())
    }
}
