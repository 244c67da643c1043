// SPDX-License-Identifier: MIT OR Apache-2.0
//! The options that `upgrade` and `switch` share, and how both end.

use anyhow::Result;
use sysroot::Sysroot;
use upgrade::{Options, Outcome, Steps, Upgraded};

use super::deploy::{print_outcome, print_staged};
use super::dry_run::DryRun;
use super::reboot::reboot;
use super::tree_options::TreeOptions;
use crate::Output;

#[derive(Debug, clap::Args)]
pub(super) struct UpgradeOptions {
    /// Use a different operating system root than the current one
    #[arg(long, value_name = "OSNAME")]
    os: Option<String>,
    /// Reboot when that was successful
    #[arg(short, long)]
    pub(super) reboot: bool,
    #[command(flatten)]
    tree: TreeOptions,
    /// The plan is for what is in the repository already: nothing is pulled
    #[command(flatten)]
    pub(super) dry_run: DryRun,
}

impl UpgradeOptions {
    /// Gives the options of the library.
    pub(super) fn options(&self) -> Options {
        Options {
            stateroot: self.os.clone(),
            selinux: self.tree.selinux(),
            ignore: self.tree.ignore.clone(),
            ..Options::default()
        }
    }

    /// Upgrades and reboots, or prints the plan. `always`: an upgrade that changed nothing reboots as well.
    pub(super) fn run(
        &self,
        sysroot: &Sysroot,
        options: Options,
        always: bool,
        out: &mut Output<'_>,
    ) -> Result<()> {
        if self.dry_run.is_on() {
            return match upgrade::plan(sysroot, &options)? {
                Some(plan) => self.dry_run.print(&plan, out),
                None => Ok(writeln!(out, "No update available.")?),
            };
        }
        let lock = super::lock(sysroot)?;
        let done = upgrade::upgrade(&lock, &options)?;
        print(&done, out)?;
        let is_new = matches!(done.outcome, Outcome::Deployed(_) | Outcome::Staged(_));
        let pulls_only = options.steps == Steps::PullOnly;
        if self.reboot && !pulls_only && (is_new || always) { reboot(sysroot) } else { Ok(()) }
    }
}

/// Says what was done, in the C tools' words where they have some.
fn print(done: &Upgraded, out: &mut Output<'_>) -> Result<()> {
    for end in &done.ends {
        eprintln!("warning: {end}");
    }
    match &done.outcome {
        Outcome::Unchanged => writeln!(out, "No update available.")?,
        Outcome::Pulled(_) => {}
        Outcome::Deployed(deployed) => print_outcome(deployed, out)?,
        Outcome::Staged(staged) => print_staged(staged, out)?,
    }
    if let Some(refspec) = &done.deleted_ref {
        writeln!(out, "Deleting ref '{refspec}'")?;
    }
    Ok(())
}
