// SPDX-License-Identifier: MIT OR Apache-2.0
//! Deploying a commit: from a refspec to a tree that a boot entry leads to.
//!
//! ```text
//! plan     which commit, where to, whose configuration, which kernel arguments, which deployments stay
//! tree     checkout, /etc with the local changes, checks, origin, immutable   nothing refers to it yet
//! switch   the boot entries (see the crate `bootloader`)
//! cleanup  deployments that no entry names, their refs, objects that nothing needs
//! ```
//!
//! Until the switch commits, a failure removes the new tree and leaves everything as it was.

mod boot_files;
mod kernel_args;
mod plan;
mod stage;
mod tree;

use std::path::PathBuf;

use anyhow::{Context, Result};
use bootloader::Space;

use crate::deployment::Origin;
use crate::entries::{Item, NewDeployment};
use crate::etc::{self, EtcConflict};
use crate::labels::Selinux;
use crate::load::Loaded;
use crate::lock::Lock;
use crate::menu::{MenuPlan, Switched};
use crate::overlay_initrds::OverlayInitrd;
use crate::preflight;
use crate::retention::Retention;
use crate::space::Counting;
use crate::sysroot::Sysroot;

pub(crate) use kernel_args::running_arguments;
pub use kernel_args::{Base, Edits};
pub use plan::{DeployPlan, PlanError};
pub(crate) use stage::SERVICE as FINALIZE_SERVICE;
pub use stage::{StageError, StagedDeployment};
pub(crate) use tree::set_immutable;
use tree::{Etc, Made};

/// What to deploy, and how.
#[derive(Debug, Clone)]
pub struct DeployOptions {
    /// A ref or a checksum in the system's repository.
    pub refspec: String,
    /// The stateroot; of a running system its own is the default.
    pub stateroot: Option<String>,
    /// The new deployment's origin; else one that follows `refspec`.
    pub origin: Option<Origin>,
    /// Take over `/etc` and kernel arguments.
    pub merge: bool,
    /// What stays beyond what always does.
    pub retention: Retention,
    /// Make it the default.
    pub as_default: bool,
    /// Changes of the kernel arguments.
    pub kernel_args: Edits,
    /// Files with more initrds, which are loaded after the tree's own, in this order.
    pub overlay_initrds: Vec<PathBuf>,
    /// What to do about SELinux.
    pub selinux: Selinux,
    /// Remove objects that nothing needs any more.
    pub prune: bool,
}

impl DeployOptions {
    /// The default way to deploy `refspec`.
    pub fn new(refspec: &str) -> Self {
        Self {
            refspec: refspec.to_owned(),
            stateroot: None,
            origin: None,
            merge: true,
            retention: Retention::default(),
            as_default: true,
            kernel_args: Edits::default(),
            overlay_initrds: Vec::new(),
            selinux: Selinux::default(),
            prune: true,
        }
    }
}

/// What a deployment has changed.
#[derive(Debug)]
pub struct Deployed {
    /// Changes that were carried over from the merge deployment's `/etc`: modified, removed, added.
    pub etc: Option<[usize; 3]>,
    /// Where local changes of `/etc` and the update have met.
    pub conflicts: Vec<EtcConflict>,
    /// Why the SELinux policy lacks what was added to it locally, if so.
    pub stale_policy: Option<String>,
    /// Whether it was made from what runs, whose further changes of `/etc` it will not have.
    pub of_running: bool,
    /// The switch of the boot menu.
    pub switched: Switched,
}

impl Deployed {
    /// What was carried over from the former `/etc`, in the C tools' words; `None` where there was no merge.
    pub fn etc_summary(&self) -> Option<String> {
        let [modified, removed, added] = self.etc?;
        Some(format!("Copying /etc changes: {modified} modified, {removed} removed, {added} added"))
    }

    /// What somebody should look at: local changes that the update has changed as well, or has no place for.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        let conflicts = etc::summary(&self.conflicts).map(|text| format!("in /etc: {text}"));
        let policy = self
            .stale_policy
            .as_ref()
            .map(|why| format!("the SELinux policy lacks what was added locally: {why}"));
        conflicts.into_iter().chain(policy)
    }
}

/// All that a deployment takes, decided before anything is written.
#[derive(Debug, Clone)]
pub(crate) struct DeployWork {
    pub(crate) plan: DeployPlan,
    /// The menu that it becomes a part of: at once, or at shutdown.
    pub(crate) menu: MenuPlan,
    pub(crate) space: Space,
}

impl Sysroot {
    /// Deploys.
    pub fn deploy(&self, lock: &Lock, options: &DeployOptions) -> Result<Deployed> {
        let loaded = self.load()?;
        let work = self.plan_deployment(&loaded, options, Counting::WhereItMatters)?;
        self.carry_out_deployment(lock, &loaded, &work)
    }

    /// Decides what a deployment takes. What the switch would refuse is refused here.
    pub(crate) fn plan_deployment(
        &self,
        loaded: &Loaded,
        options: &DeployOptions,
        counting: Counting,
    ) -> Result<DeployWork> {
        let plan = DeployPlan::new(self, loaded, options)?;
        preflight::check_arguments(&plan.kernel_args)?;
        loaded.boot.check()?;
        let settings = self.boot_settings(loaded)?;
        settings.installed.check()?;
        let boot_checksum = boot_files::check(self, loaded, &plan.path.checksum)?;
        let new = NewDeployment { boot_checksum: Some(boot_checksum), ..plan.new_deployment() };
        let item = |item: &Option<usize>| item.map_or_else(|| Item::New(Box::new(new.clone())), Item::old);
        let items: Vec<Item> = plan.list.iter().map(item).collect();
        let menu = self.plan_menu(loaded, &items, options.prune, settings)?;
        let space = self.space_for(loaded, &plan, &menu.switch, counting)?;
        Ok(DeployWork { plan, menu, space })
    }

    pub(crate) fn carry_out_deployment(
        &self,
        lock: &Lock,
        loaded: &Loaded,
        work: &DeployWork,
    ) -> Result<Deployed> {
        let DeployWork { plan, menu, .. } = work;
        plan.overlay_initrds.iter().try_for_each(OverlayInitrd::stage)?;
        let tree =
            tree::Tree::create(self, loaded, &menu.settings, plan, Etc::Merged).context("Deploying tree")?;
        let switched = self.switch_menu(lock, loaded, menu)?;
        let Made { etc, conflicts, stale_policy } = tree.keep();
        let of_running = loaded.deployments.iter().any(|d| d.booted && plan.merge.as_ref() == Some(&d.path));
        Ok(Deployed { etc, conflicts, stale_policy, of_running, switched })
    }
}
