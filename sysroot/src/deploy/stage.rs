// SPDX-License-Identifier: MIT OR Apache-2.0
//! Staging: all of a deployment but what changes the running system, down to its boot files and entries. The merge of `/etc` and the switch follow at
//! shutdown, so that what is changed until then is carried over; see [`crate::finalize`].
//!
//! What the switch will refuse is refused here, while there is somebody who reads it.

use std::process::Command;

use anyhow::{Context, Result};
use bootloader::SwitchPlan;
use fn_error_context::context;
use formats::bootlink::DeploymentPath;
use formats::staged::{Place, Staged};

use super::tree::{Etc, Tree};
use super::{DeployOptions, DeployPlan, DeployWork, Edits};
use crate::cleanup::Cleaned;
use crate::load::Loaded;
use crate::lock::Lock;
use crate::overlay_initrds::OverlayInitrd;
use crate::space::Counting;
use crate::sysroot::Sysroot;
use crate::{entries, labels};

/// What makes the switch at shutdown.
pub(crate) const SERVICE: &str = "ostree-finalize-staged.service";

/// Why nothing is staged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StageError {
    /// Only a running system can be shut down.
    #[error("Cannot stage deployment: Not currently booted into an OSTree system")]
    NotBooted,
}

/// A deployment that was staged.
#[derive(Debug)]
pub struct StagedDeployment {
    /// Where it is.
    pub path: DeploymentPath,
    /// Whether it will stay staged at shutdown.
    pub locked: bool,
    /// What was removed afterwards: an earlier staged deployment, and objects.
    pub cleaned: Cleaned,
}

impl Sysroot {
    /// Stages a deployment, in place of another one. With `locked` it will not be switched to at shutdown.
    pub fn stage(&self, lock: &Lock, options: &DeployOptions, locked: bool) -> Result<StagedDeployment> {
        let loaded = self.load()?;
        let work = self.plan_staging(&loaded, options, Counting::WhereItMatters)?;
        self.carry_out_staging(lock, &loaded, &work, options, locked)
    }

    /// Decides what staging takes, and the switch at shutdown, which must be possible now.
    #[context("Staging deployment")]
    pub(crate) fn plan_staging(
        &self,
        loaded: &Loaded,
        options: &DeployOptions,
        counting: Counting,
    ) -> Result<DeployWork> {
        if !loaded.is_running_system {
            return Err(StageError::NotBooted.into());
        }
        self.plan_deployment(loaded, options, counting)
    }

    #[context("Staging deployment")]
    pub(crate) fn carry_out_staging(
        &self,
        lock: &Lock,
        loaded: &Loaded,
        work: &DeployWork,
        options: &DeployOptions,
        locked: bool,
    ) -> Result<StagedDeployment> {
        let DeployWork { plan, menu, .. } = work;
        let settings = &menu.settings;
        start_service()?;
        plan.overlay_initrds.iter().try_for_each(OverlayInitrd::stage)?;
        let tree = Tree::create(self, loaded, settings, plan, Etc::Defaults).context("Deploying tree")?;

        let (now, items) = match &menu.room {
            None => (None, menu.items.clone()),
            Some(room) => {
                let (now, items) = self.make_room(loaded, &menu.items, room, settings)?;
                (Some(now), items)
            }
        };
        let now = now.as_ref().unwrap_or(loaded);
        let entries = entries::compose(self, now, &items)?;
        let mut switch = SwitchPlan::new(&now.boot, &entries, settings)?;
        labels::label_copies(self, &mut switch);
        // Where the C tools clean up, the kernels go again, and then they are copied at shutdown.
        switch.rehearse(self.places(), settings)?;
        let boot_checksum =
            entries.iter().find(|entry| entry.deployment == plan.path).map(|e| e.boot_checksum);
        let target =
            Place { path: plan.path.clone(), boot_checksum: boot_checksum.context("It is not listed")? };

        // Nobody waits for the disk now; at shutdown somebody would.
        durable::sync_fs(self.root())?;
        let staged = self.write_staged(&record(loaded, plan, options, target, locked), now.menu());
        if let Err(error) = staged {
            // The tree goes now, and no record may name it.
            self.remove_staged().unwrap_or_else(|error| log::warn!("{error:#}"));
            return Err(error);
        }
        tree.keep();
        let cleaned = self.clean_up(lock, settings, options.prune).unwrap_or_else(|error| {
            log::warn!("{error:#}; `ostree admin cleanup` tries again");
            Cleaned::default()
        });
        Ok(StagedDeployment { path: plan.path.clone(), locked, cleaned })
    }
}

/// The kernel arguments are written down if they were edited: those of the merge deployment may still change.
fn record(
    loaded: &Loaded,
    plan: &DeployPlan,
    options: &DeployOptions,
    target: Place,
    locked: bool,
) -> Staged {
    let merge = plan.merge.as_ref().and_then(|path| loaded.deployments.iter().find(|d| d.path == *path));
    let kernel_args = plan.kernel_args.iter().map(str::to_owned).collect();
    Staged {
        locked,
        merge: merge.map(|d| Place { path: d.path.clone(), boot_checksum: d.boot_checksum }),
        kernel_args: (options.kernel_args != Edits::default() || plan.image_kargs).then_some(kernel_args),
        // What another tool asked for since the last boot stays asked for.
        extra: loaded.staged.as_ref().map(|earlier| earlier.extra.clone()).unwrap_or_default(),
        overlay_initrds: plan.overlay_initrds.iter().map(|initrd| initrd.checksum).collect(),
        retain: options.retention.words(),
        not_as_default: !options.as_default,
        ..Staged::new(target)
    }
}

/// Starting it does nothing, but only what was started is stopped at shutdown.
#[context("Starting {SERVICE}, which applies the update at shutdown")]
fn start_service() -> Result<()> {
    let status = Command::new("systemctl").args(["start", SERVICE]).status().context("Running systemctl")?;
    anyhow::ensure!(status.success(), "systemctl: {status}; see `systemctl status {SERVICE}`");
    Ok(())
}
