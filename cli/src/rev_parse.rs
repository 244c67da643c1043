// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree rev-parse`.

use anyhow::{Result, bail};

use crate::Output;
use crate::global::Global;

/// Output the target of a rev
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree --repo=repo rev-parse exampleos/x86_64^")]
pub(crate) struct Args {
    /// Refs, checksums or beginnings of checksums; each ^ goes to the parent
    #[arg(value_name = "REV")]
    revs: Vec<String>,
    /// If the repository has exactly one commit, print its checksum
    #[arg(short = 'S', long)]
    single: bool,
}

impl Args {
    pub(crate) fn run(&self, global: &Global, out: &mut Output<'_>) -> Result<()> {
        let repo = global.open()?;
        if self.single {
            if !self.revs.is_empty() {
                bail!("Cannot specify arguments with --single");
            }
            let commits = repo.list_commits()?;
            match &commits[..] {
                [only] => writeln!(out, "{only}")?,
                [] => bail!("No commit objects found; --single is for a repository with one"),
                more => bail!("Multiple commit objects found: {}; name the one that is meant", more.len()),
            }
            return Ok(());
        }
        if self.revs.is_empty() {
            bail!("REV must be specified");
        }
        for rev in &self.revs {
            writeln!(out, "{}", repo.resolve_rev(rev)?)?;
        }
        Ok(())
    }
}
