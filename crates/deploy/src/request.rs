// SPDX-License-Identifier: MIT OR Apache-2.0
//! The requests for a change.

use anyhow::{Context, Result};
use sysroot::Loaded;

use crate::edits::Edits;
use crate::entries::Item;
use crate::options::DeployOptions;
use crate::order::{ReorderError, rollback_target, with_default, without};

/// A change of the deployments.
#[derive(Debug, Clone)]
pub enum Request {
    /// A new deployment.
    Deploy(DeployOptions),
    /// A new deployment, at shutdown.
    Stage {
        /// The commit to deploy, and the way to do it.
        options: DeployOptions,
        /// Whether it stays staged at shutdown.
        locked: bool,
    },
    /// One less, by its place in the list.
    Undeploy(usize),
    /// Another default, by its place in the list.
    SetDefault(usize),
    /// The former default.
    Rollback,
    /// Other kernel arguments of deployments that are there.
    KernelArgs {
        /// Of which, by its place in the list; of all without.
        index: Option<usize>,
        /// The changes of the arguments.
        edits: Edits,
    },
    /// The staged deployment, at shutdown.
    Finalize,
    /// The removal of everything that nothing needs.
    Cleanup,
    /// The removal of what was kept for the case that this boot fails.
    BootGood,
    /// Deployments are kept by every cleanup, or no longer.
    Pin {
        /// By their places in the list.
        indices: Vec<usize>,
        /// Whether they are.
        on: bool,
    },
}

impl Request {
    /// The command that asks for it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Deploy(_) => "deploy",
            Self::Stage { .. } => "stage",
            Self::Undeploy(_) => "undeploy",
            Self::SetDefault(_) => "set-default",
            Self::Rollback => "rollback",
            Self::KernelArgs { .. } => "kargs",
            Self::Finalize => "finalize-staged",
            Self::Cleanup => "cleanup",
            Self::BootGood => "boot-good",
            Self::Pin { on: true, .. } => "pin",
            Self::Pin { on: false, .. } => "unpin",
        }
    }

    /// The new menu of those changes that make no deployment, and whether objects go with it.
    pub(crate) fn items(&self, loaded: &Loaded) -> Result<(Vec<Item>, bool)> {
        loaded.or_unread(self.chosen(loaded))
    }

    fn chosen(&self, loaded: &Loaded) -> Result<(Vec<Item>, bool)> {
        let all = &loaded.deployments;
        let list = match self {
            Self::Undeploy(index) => without(all, loaded.check(*index)?)?,
            Self::SetDefault(index) => with_default(all.len(), loaded.check(*index)?),
            Self::Rollback => {
                let index = rollback_target(loaded).ok_or(ReorderError::NothingToRollBackTo)?;
                with_default(all.len(), index)
            }
            Self::KernelArgs { index, edits } => {
                if let Some(index) = index {
                    loaded.check(*index)?;
                }
                let item = |(at, d): (usize, &sysroot::Deployment)| {
                    if index.is_some_and(|index| index != at) {
                        return Ok(Item::old(at));
                    }
                    let old = d.kernel_args();
                    let new = edits.apply(Some(&old)).with_context(|| format!("Editing deployment {at}"))?;
                    Ok(Item::Old { index: at, kernel_args: (new != old).then_some(new) })
                };
                return Ok((all.iter().enumerate().map(item).collect::<Result<_>>()?, false));
            }
            Self::Deploy(_)
            | Self::Stage { .. }
            | Self::Finalize
            | Self::Cleanup
            | Self::BootGood
            | Self::Pin { .. } => (0..all.len()).collect(),
        };
        Ok((list.into_iter().map(Item::old).collect(), true))
    }
}
