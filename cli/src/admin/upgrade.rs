// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin upgrade`.

use anyhow::{Context as _, Result, bail};
use sysroot::Sysroot;
use upgrade::{Options, Outcome, Steps, Upgraded};

use super::deploy::SelinuxArg;
use crate::Output;

/// Construct new tree from current origin and deploy it, if it changed
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree admin upgrade --stage --reboot\n\n\
    A failure before the boot menu is switched leaves the deployments as they were.")]
pub(super) struct Args {
    /// Use a different operating system root than the current one
    #[arg(long, value_name = "OSNAME")]
    os: Option<String>,
    /// Reboot after a successful upgrade
    #[arg(short, long)]
    reboot: bool,
    /// Permit deployment of chronologically older trees
    #[arg(long)]
    allow_downgrade: bool,
    /// Deploy CHECKSUM instead of the latest tree
    #[arg(long, value_name = "CHECKSUM")]
    override_commit: Option<String>,
    /// Do not create a deployment, just download
    #[arg(long)]
    pull_only: bool,
    /// Do not pull, only deploy
    #[arg(long)]
    deploy_only: bool,
    /// Enable staging (finalization at reboot time)
    #[arg(long)]
    stage: bool,
    /// What to do with a tree that enforces an SELinux policy, which needs labels that are not set yet
    #[arg(long, value_name = "HOW", default_value = "refuse")]
    selinux: SelinuxArg,
    #[arg(short, long, hide = true)]
    kexec: bool,
}

impl Args {
    pub(super) fn run(&self, sysroot: &Sysroot, out: &mut Output<'_>) -> Result<()> {
        if self.kexec {
            bail!("--kexec is not supported yet; use --reboot");
        }
        let steps = match (self.pull_only, self.deploy_only, self.stage) {
            (true, true, _) => bail!("Cannot simultaneously specify --pull-only and --deploy-only"),
            (true, ..) if self.reboot => bail!("Cannot simultaneously specify --pull-only and --reboot"),
            (true, ..) => Steps::PullOnly,
            (_, true, false) => Steps::DeployOnly,
            (_, true, true) => Steps::StageOnly,
            (_, _, true) => Steps::Stage,
            _ => Steps::Deploy,
        };
        let commit = self.override_commit.as_deref();
        let options = Options {
            stateroot: self.os.clone(),
            switch_to: None,
            allow_downgrade: self.allow_downgrade,
            override_commit: commit
                .map(|text| text.parse().with_context(|| format!("Invalid commit '{text}'")))
                .transpose()?,
            steps,
            selinux: self.selinux.into(),
        };
        let lock = super::lock(sysroot)?;
        let done = upgrade::upgrade(sysroot, &lock, &options)?;
        print(&done, out)?;
        let is_new = matches!(done.outcome, Outcome::Deployed(_) | Outcome::Staged(_));
        if self.reboot && is_new { super::reboot::reboot(sysroot) } else { Ok(()) }
    }
}

/// Says what was done, in the C tools' words where they have some.
pub(super) fn print(done: &Upgraded, out: &mut Output<'_>) -> Result<()> {
    for end in &done.ends {
        eprintln!("warning: {end}");
    }
    match &done.outcome {
        Outcome::Unchanged => writeln!(out, "No update available.")?,
        Outcome::Pulled(_) => {}
        Outcome::Deployed(deployed) => super::deploy::print_outcome(deployed, out)?,
        Outcome::Staged(staged) => super::deploy::print_staged(staged, out)?,
    }
    if let Some(refspec) = &done.deleted_ref {
        writeln!(out, "Deleting ref '{refspec}'")?;
    }
    Ok(())
}
