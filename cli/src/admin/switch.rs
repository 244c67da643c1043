// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin switch`.

use anyhow::{Context as _, Result};
use sysroot::Sysroot;
use upgrade::Options;

use super::upgrade_options::UpgradeOptions;
use crate::Output;

/// Construct new tree from REFSPEC and deploy it
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree admin switch exampleos/x86_64/testing\n\n\
    REMOTE: alone means the same branch of another remote.")]
pub(super) struct Args {
    /// Follow from now on: [REMOTE:]BRANCH or REMOTE:
    refspec: Option<String>,
    #[command(flatten)]
    pub(super) shared: UpgradeOptions,
}

impl Args {
    pub(super) fn run(&self, sysroot: &Sysroot, out: &mut Output<'_>) -> Result<()> {
        let refspec = self.refspec.clone().context("REFSPEC must be specified")?;
        let options = Options { switch_to: Some(refspec), ..self.shared.options() };
        self.shared.run(sysroot, options, true, out)
    }
}
