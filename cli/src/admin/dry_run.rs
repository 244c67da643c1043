// SPDX-License-Identifier: MIT OR Apache-2.0
//! The arguments of the commands that change the deployments: which one, and whether the plan is printed only.

use anyhow::Result;
use deploy::Request;
use sysroot::{Lock, Sysroot};

use super::session::lock;
use crate::Output;
pub(super) use crate::dry_run::DryRun;

#[derive(Debug, clap::Args)]
pub(super) struct Index {
    /// As `ostree admin status` lists them, from 0
    pub(super) index: usize,
}

impl DryRun {
    /// Prints the plan of a change, or makes the change under the lock.
    pub(super) fn plan_or(
        &self,
        sysroot: &Sysroot,
        request: &Request,
        out: &mut Output<'_>,
        change: impl FnOnce(&Lock<'_>, &mut Output<'_>) -> Result<()>,
    ) -> Result<()> {
        match self.is_on() {
            true => self.show(sysroot, request, out),
            false => change(&lock(sysroot)?, out),
        }
    }

    /// Plans a change and prints the plan.
    pub(super) fn show(&self, sysroot: &Sysroot, request: &Request, out: &mut Output<'_>) -> Result<()> {
        self.print(&deploy::plan(sysroot, request)?, out)
    }
}
