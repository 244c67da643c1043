// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin upgrade`.

use anyhow::{Context as _, Result, bail};
use sysroot::Sysroot;
use upgrade::{Options, Steps};

use super::upgrade_options::UpgradeOptions;
use crate::Output;

/// Construct new tree from current origin and deploy it, if it changed
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree admin upgrade --stage --reboot\n\n\
    A failure before the boot menu is switched leaves the deployments as they were.")]
pub(super) struct Args {
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
    #[command(flatten)]
    pub(super) shared: UpgradeOptions,
}

impl Args {
    pub(super) fn run(&self, sysroot: &Sysroot, out: &mut Output<'_>) -> Result<()> {
        let steps = match (self.pull_only, self.deploy_only, self.stage) {
            (true, true, _) => bail!("Cannot simultaneously specify --pull-only and --deploy-only"),
            (true, ..) if self.shared.reboot => {
                bail!("Cannot simultaneously specify --pull-only and --reboot")
            }
            (true, ..) => Steps::PullOnly,
            (_, true, false) => Steps::DeployOnly,
            (_, true, true) => Steps::StageOnly,
            (_, _, true) => Steps::Stage,
            _ => Steps::Deploy,
        };
        let commit = self.override_commit.as_deref();
        let options = Options {
            allow_downgrade: self.allow_downgrade,
            override_commit: commit
                .map(|text| text.parse().with_context(|| format!("Invalid commit '{text}'")))
                .transpose()?,
            steps,
            ..self.shared.options()
        };
        self.shared.run(sysroot, options, false, out)
    }
}
