// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree reset`.

use anyhow::Result;

use crate::global::Global;

/// Reset a REF to a previous COMMIT
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree --repo=repo reset exampleos/x86_64 exampleos/x86_64^")]
pub(crate) struct Args {
    /// Ref to change
    #[arg(value_name = "REF")]
    name: String,
    /// Ref or checksum that it shall point to
    commit: String,
}

impl Args {
    pub(crate) fn run(&self, global: &Global) -> Result<()> {
        let repo = global.open()?;
        let commit = repo.resolve_rev(&self.commit)?;
        repo.resolve_rev(&self.name)?;
        repo.load_commit(&commit)?;
        repo.set_ref(&self.name.parse()?, &commit)
    }
}
