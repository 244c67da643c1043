// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin etc-merge`.

use anyhow::Result;
use clap::ArgGroup;
use deploy::EtcMerge;
use sysroot::Sysroot;

use crate::Output;

/// Show what the merge of /etc does, or carry later changes of /etc into another deployment
#[derive(Debug, clap::Args)]
#[command(
    group = ArgGroup::new("what").required(true).multiple(true).args(["dry_run", "into", "conflicts"]),
    after_help = "Examples: ostree admin etc-merge --dry-run\n          ostree admin etc-merge --into 0\n\n\
    With a staged deployment --dry-run shows what the shutdown will do, else which changes of the running /etc the pending \
    deployment does not have yet. Each line has what happens, what was done locally and by the update (M modified, D deleted, \
    A added, - nothing), the path, and the policy where both have changed it. Policies are lines such as `keep-both \
    /etc/ssh/*_config` in /etc/ostree/etc-merge.d/*.conf."
)]
pub(super) struct Args {
    /// Change nothing, and list each path
    #[arg(long)]
    dry_run: bool,
    /// Carry changes over to this deployment, by its number in `ostree admin status`
    #[arg(long, value_name = "INDEX")]
    into: Option<usize>,
    /// Take the changes of this deployment; the default is the running system
    #[arg(long, value_name = "INDEX")]
    from: Option<usize>,
    /// List what local changes and the update have both changed in this deployment
    #[arg(long, value_name = "INDEX", conflicts_with_all = ["dry_run", "into", "from"])]
    conflicts: Option<usize>,
    /// The same for programs
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Whether nothing is to be changed.
    pub(super) fn only_reads(&self) -> bool {
        self.dry_run || self.conflicts.is_some()
    }

    pub(super) fn run(&self, sysroot: &Sysroot, out: &mut Output<'_>) -> Result<()> {
        if let Some(index) = self.conflicts {
            return self.list_conflicts(sysroot, index, out);
        }
        let which = EtcMerge { from: self.from, into: self.into };
        let plan = if self.dry_run {
            deploy::plan_etc_merge(sysroot, which)?
        } else {
            deploy::merge_etc_into(&super::lock(sysroot)?, which)?
        };
        match self.json {
            true => writeln!(out, "{}", serde_json::to_string_pretty(&plan)?)?,
            false => write!(out, "{plan}")?,
        }
        Ok(())
    }

    fn list_conflicts(&self, sysroot: &Sysroot, index: usize, out: &mut Output<'_>) -> Result<()> {
        let loaded = sysroot.load()?;
        let index = loaded.check(index)?;
        let path = loaded.deployments.get(index).map(|deployment| &deployment.path);
        let conflicts = path.map(|path| sysroot.etc_conflicts(path)).transpose()?.unwrap_or_default();
        if self.json {
            writeln!(out, "{}", serde_json::to_string_pretty(&conflicts)?)?;
            return Ok(());
        }
        conflicts.iter().try_for_each(|conflict| writeln!(out, "{conflict}"))?;
        Ok(())
    }
}
