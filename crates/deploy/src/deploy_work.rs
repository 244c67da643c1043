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

use anyhow::{Context, Result};
use bootloader::Space;
use sysroot::commit_tree::CommitTree;
use sysroot::etc::{self, EtcConflict};
use sysroot::{Loaded, Sysroot};

use crate::boot_files;
use crate::deploy_plan::DeployPlan;
use crate::entries::{Item, NewDeployment};
use crate::menu::{self, MenuPlan, Switched};
use crate::options::DeployOptions;
use crate::preflight::{self, Check, Lack};
use crate::space::{self, Counting};
use crate::tree::Made;

/// The changes that a deployment has made.
#[derive(Debug)]
pub struct Deployed {
    /// Changes that were carried over from the merge deployment's `/etc`: modified, removed, added.
    pub etc: Option<[usize; 3]>,
    /// Where local changes of `/etc` and the update have met.
    pub conflicts: Vec<EtcConflict>,
    /// Why the SELinux policy lacks what was added to it locally, if so.
    pub stale_policy: Option<String>,
    /// Findings about the tree that were ignored.
    pub ignored: Vec<Lack>,
    /// Whether it was made from what runs, whose further changes of `/etc` it will not have.
    pub of_running: bool,
    /// The switch of the boot menu.
    pub switched: Switched,
}

impl Deployed {
    pub(crate) fn new(made: Made, ignored: Vec<Lack>, of_running: bool, switched: Switched) -> Self {
        let Made { etc, conflicts, stale_policy } = made;
        Self { etc, conflicts, stale_policy, ignored, of_running, switched }
    }

    /// Counts the changes carried over from the previous `/etc`, in the C tools' words; `None` without a merge.
    pub fn etc_summary(&self) -> Option<String> {
        let [modified, removed, added] = self.etc?;
        Some(format!("Copying /etc changes: {modified} modified, {removed} removed, {added} added"))
    }

    /// Lists local changes that somebody should look at: those that the update changed too, or has no place for.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        let conflicts = etc::conflicts::summary(&self.conflicts).map(|text| format!("in /etc: {text}"));
        let policy = self
            .stale_policy
            .as_ref()
            .map(|why| format!("the SELinux policy lacks what was added locally: {why}"));
        let ignored = self.ignored.iter().map(|lack| format!("ignored ({}): {}", lack.check, lack.text));
        conflicts.into_iter().chain(policy).chain(ignored)
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

/// Decides what a deployment takes. What the switch would refuse is refused here.
pub(crate) fn plan_deployment(
    sysroot: &Sysroot,
    loaded: &Loaded,
    options: &DeployOptions,
    counting: Counting,
) -> Result<DeployWork> {
    let mut plan = DeployPlan::new(sysroot, loaded, options)?;
    loaded.boot.check()?;
    let mut settings = sysroot.boot_settings(loaded)?;
    settings.incomplete_trees |= plan.ignore.contains(&Check::MountPoints);
    settings.installed.check()?;
    let tree = CommitTree::open(sysroot.repo(), &plan.path.checksum)?;
    let files = sysroot.kernel_files(&tree);
    let lacks = preflight::of_commit(&tree, &files, &plan.kernel_args)?;
    plan.ignored = preflight::refuse(lacks, &plan.ignore)?;
    let files = files.context("Looking for the kernel of the tree")?;
    let boot_checksum = boot_files::check(sysroot, loaded, &tree, &files)?;
    let new = NewDeployment { boot_checksum: Some(boot_checksum), ..plan.new_deployment() };
    let item = |item: &Option<usize>| item.map_or_else(|| Item::New(Box::new(new.clone())), Item::old);
    let items: Vec<Item> = plan.list.iter().map(item).collect();
    let menu = menu::plan_menu(sysroot, loaded, &items, options.prune, settings)?;
    let space = space::space_for(sysroot, loaded, &plan, &menu.switch, counting)?;
    Ok(DeployWork { plan, menu, space })
}
