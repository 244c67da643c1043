// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree reset`.

use anyhow::{Result, bail};
use repo::{Refspec, RepoPlan};

use crate::Output;
use crate::dry_run::DryRun;
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
    #[command(flatten)]
    dry_run: DryRun,
}

impl Args {
    pub(crate) fn run(&self, global: &Global, out: &mut Output<'_>) -> Result<()> {
        let repo = global.open()?;
        let commit = repo.resolve_rev(&self.commit)?;
        let name: Refspec = self.name.parse()?;
        // A ref that is damaged can be set all the same.
        if repo.ref_text(&name)?.is_none() {
            // A name that stands for a ref of a remote is no head that could be set back.
            repo.resolve_rev(&self.name)?;
            bail!(
                "Invalid ref '{name}': there is no ref of just this name; give one that `ostree refs` lists"
            );
        }
        repo.load_commit(&commit)?;
        let plan = RepoPlan::set_ref(&repo, "reset", name, commit)?;
        if self.dry_run.is_on() {
            return self.dry_run.print(&plan, out);
        }
        plan.apply_refs(&repo)
    }
}
