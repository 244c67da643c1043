// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin finalize-staged`.

use std::path::Path;

use anyhow::Result;
use deploy::Request;
use sysroot::{Options, Sysroot};

use super::dry_run::DryRun;
use crate::Output;

/// Switch to the staged deployment: what ostree-finalize-staged.service does at shutdown
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree admin finalize-staged")]
pub(super) struct Args {
    /// Keep /boot in use until the process is ended
    #[arg(long)]
    hold: bool,
    #[command(flatten)]
    dry_run: DryRun,
}

impl Args {
    pub(super) fn run(&self, path: &Path, options: &Options, out: &mut Output<'_>) -> Result<()> {
        if self.hold {
            return finalize::hold(path).map(|never| match never {});
        }
        if self.dry_run.is_on() {
            let sysroot = Sysroot::open(path)?.with_options(options);
            return self.dry_run.show(&sysroot, &Request::Finalize, out);
        }
        finalize::finalize_staged(path, options, out)
    }
}
