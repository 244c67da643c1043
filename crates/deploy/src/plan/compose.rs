// SPDX-License-Identifier: MIT OR Apache-2.0
//! From what was decided to the tasks that carry it out. Nothing is written here, and no program is run.

use anyhow::Result;
use bootloader::SweepPlan;
use formats::Checksum;
use formats::bootlink::DeploymentPath;
use formats::staged::Staged;
use rustix::fs::{AtFlags, CWD};
use sysroot::backing::path_of;
use sysroot::commit_tree::CommitTree;
use sysroot::finalize_failure::STAMP;
use sysroot::running::deployments_in;
use sysroot::staged::persistent;
use sysroot::{Loaded, Sysroot, etc, reserve, staged};

use super::step::{self, Step};
use super::task::{Action, Tasks};
use crate::deploy_plan::DeployPlan;
use crate::deploy_work::DeployWork;
use crate::entries::Item;
use crate::etc::{Moment, etc_attributes};
use crate::finalize_service;
use crate::menu::{MenuPlan, Staging};
use crate::refs::RefPlan;
use crate::tree::{TreePlan, TreeStep};
use crate::{early_prune, pin_commit, removal};

/// The mount points and directories that are made on the way to the records in `/run`.
const RUN: &str = "/run/ostree";

/// Gathers the facts of a new tree.
pub(super) fn tree_plan(sysroot: &Sysroot, plan: &DeployPlan) -> TreePlan {
    TreePlan {
        path: plan.path.clone(),
        merge: plan.merge.clone(),
        origin: plan.origin.clone(),
        selinux: plan.selinux,
        ignore: plan.ignore.clone(),
        moment: Moment::Asked,
        attributes: etc_attributes(sysroot.options()),
    }
}

/// Whether there is something at a path from the physical root.
fn is_there(sysroot: &Sysroot, path: &str) -> bool {
    let path = path.trim_start_matches('/');
    let (dir, path) = match path.strip_prefix("boot/") {
        Some(rest) => (sysroot.places().boot, rest),
        None => (sysroot.root(), path),
    };
    rustix::fs::statat(dir, path, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

impl Tasks {
    /// Starts the service that finalizes at shutdown.
    pub(super) fn start_service(&mut self) {
        let command = format!("systemctl start {}", finalize_service::SERVICE);
        self.push(Action::StartService, [Step::Run { command }]);
    }

    /// Makes the tree of a new deployment; without `merged` its `/etc` is left to the shutdown.
    pub(super) fn tree(
        &mut self,
        sysroot: &Sysroot,
        loaded: &Loaded,
        plan: &DeployPlan,
        merged: bool,
    ) -> Result<()> {
        for initrd in &plan.overlay_initrds {
            let copy = Step::Copy {
                from: initrd.path.display().to_string(),
                to: format!("{RUN}/staged-initrds/{}", initrd.checksum),
                bytes: Some(initrd.size),
            };
            let directories = missing_in_run(&[RUN, "/run/ostree/staged-initrds"], self);
            self.push(Action::StageInitrd(initrd.clone()), directories.into_iter().chain([copy]));
        }
        let path = &plan.path;
        let (top, stateroot) = (format!("/{path}"), format!("/ostree/deploy/{}", path.stateroot));
        let commit = path.checksum.to_string();
        let mut add = |step: TreeStep, steps: Vec<Step>| self.push(Action::Tree(step), steps);
        let pin = Step::SetRef { name: pin_commit::name(loaded), commit: Some(commit.clone()) };
        add(TreeStep::PinCommit, vec![pin]);
        let parent = format!("{stateroot}/deploy");
        add(TreeStep::MakeParent, make_missing(sysroot, [parent]));
        add(TreeStep::CheckOut, vec![Step::CheckOut { commit, to: top.clone() }]);
        let etc = format!("{top}/etc");
        add(TreeStep::CopyEtc, vec![Step::CopyEtc { to: etc.clone() }]);
        let tree = CommitTree::open(sysroot.repo(), &path.checksum)?;
        let has_policy = plan.selinux != selinux::Selinux::Ignore
            && ["usr/etc/selinux/config", "etc/selinux/config"]
                .iter()
                .any(|path| tree.find(path).is_ok_and(|found| found.is_some()));
        let when = |holds: bool, step: Step| holds.then_some(step).into_iter().collect::<Vec<_>>();
        match &plan.merge {
            Some(merge) if merged => {
                let merge = Step::MergeEtc { from: format!("/{merge}/etc"), to: etc.clone() };
                add(TreeStep::MergeEtc, vec![merge]);
                let policy = Step::RefreshPolicy { path: format!("{etc}/selinux") };
                add(TreeStep::RefreshPolicy, when(has_policy, policy));
                add(TreeStep::LabelMerged, when(has_policy, Step::Label { path: etc }));
            }
            Some(_) => add(TreeStep::CheckPolicies, Vec::new()),
            None => {}
        }
        add(TreeStep::Check, Vec::new());
        let var = format!("{stateroot}/var");
        add(TreeStep::FillVar, vec![Step::FillVar { path: var.clone() }]);
        add(TreeStep::LabelVar, when(has_policy, Step::Label { path: var.clone() }));
        if merged {
            let stamp = format!("{var}/.updated");
            let is_stamped = is_there(sysroot, &stamp);
            add(TreeStep::MarkVarOutdated, when(is_stamped, Step::Remove { path: stamp }));
        }
        add(TreeStep::MakeBacking, make_missing(sysroot, backing(path)));
        add(TreeStep::WriteConflicts, vec![conflicts(path)]);
        let text = Some(plan.origin.0.to_string());
        add(TreeStep::WriteOrigin, vec![Step::Write { path: format!("{top}.origin"), text }]);
        let seals = !sysroot.options().mutable_deployments;
        add(TreeStep::Seal, when(seals, Step::Seal { path: top }));
        Ok(())
    }

    /// Gives a staged deployment its `/etc`, and makes it whole.
    ///
    /// `is_ahead`: it is yet to be staged, and what that makes is not there now.
    fn finish_tree(
        &mut self,
        sysroot: &Sysroot,
        path: &DeploymentPath,
        merge: Option<&DeploymentPath>,
        is_ahead: bool,
    ) {
        let (top, stateroot) = (format!("/{path}"), format!("/ostree/deploy/{}", path.stateroot));
        let etc = format!("{top}/etc");
        let mut add = |step: TreeStep, steps: Vec<Step>| self.push(Action::Tree(step), steps);
        if let Some(merge) = merge {
            let merge = Step::MergeEtc { from: format!("/{merge}/etc"), to: etc.clone() };
            add(TreeStep::MergeEtc, vec![merge]);
        }
        add(TreeStep::Check, Vec::new());
        let has_policy = is_there(sysroot, &format!("{etc}/selinux/config"));
        let when = |holds: bool, step: Step| holds.then_some(step).into_iter().collect::<Vec<_>>();
        let policy = Step::RefreshPolicy { path: format!("{etc}/selinux") };
        add(TreeStep::RefreshPolicy, when(has_policy, policy));
        let var = format!("{stateroot}/var");
        let labels = [etc, var.clone()].map(|path| Step::Label { path });
        add(TreeStep::LabelMerged, if has_policy { labels.to_vec() } else { Vec::new() });
        let stamp = format!("{var}/.updated");
        add(TreeStep::MarkVarOutdated, vec![Step::Forget { path: stamp }]);
        let missing = if is_ahead { Vec::new() } else { make_missing(sysroot, backing(path)) };
        add(TreeStep::MakeBacking, missing);
        add(TreeStep::WriteConflicts, vec![conflicts(path)]);
        let seals = !sysroot.options().mutable_deployments;
        // Most are sealed since they were staged.
        add(TreeStep::Seal, when(seals, Step::Seal { path: top }));
    }

    /// Switches to a menu, and removes what it does not need.
    pub(super) fn menu(
        &mut self,
        sysroot: &Sysroot,
        loaded: &Loaded,
        menu: &MenuPlan,
        refs: &RefPlan,
    ) -> Result<()> {
        if early_prune::copies_nothing(&menu.items, &menu.switch) {
            self.release_reserve(sysroot);
        }
        self.make_room(menu);
        let switch = &menu.switch;
        self.push(Action::Switch(Box::new(switch.clone())), boot_steps(sysroot, &switch.steps()));
        self.records_after(sysroot, loaded, menu);
        let initrds: Vec<Checksum> = menu.items.iter().flat_map(new_initrds).collect();
        self.forget_initrds(initrds);
        self.push(Action::Committed, []);
        let gone = gone(sysroot, loaded, menu);
        self.clean_up(sysroot, loaded, &gone, refs, menu.prune)
    }

    /// Makes room in `/boot`.
    pub(super) fn make_room(&mut self, menu: &MenuPlan) {
        let Some(room) = &menu.room else { return };
        let mut steps: Vec<Step> = step::of_boot(&room.sweep.steps()).collect();
        if let Some(fewer) = &room.fewer {
            steps.push(Step::Prove);
            steps.extend(step::of_boot(&fewer.steps()));
        }
        self.push(Action::PruneEarly(Box::new(room.clone())), steps);
    }

    /// The records of what is staged once the menu is another one.
    fn records_after(&mut self, sysroot: &Sysroot, loaded: &Loaded, menu: &MenuPlan) {
        let now: Vec<DeploymentPath> =
            menu.items.iter().filter_map(|item| item.path(loaded)).cloned().collect();
        match (&loaded.staged, &menu.staging) {
            (Some(record), Staging::Edited(args)) => {
                let kernel_args = Some(args.iter().map(str::to_owned).collect());
                self.write_records(Staged { kernel_args, ..record.clone() }, now);
            }
            (Some(_), Staging::Stays) => {
                let kept = loaded.persistent.as_ref().map(|_| Step::write(persistent::PATH));
                self.push(Action::Notify(Some(now)), [notify()].into_iter().chain(kept));
            }
            (Some(record), Staging::Discarded(_)) => {
                let kept = loaded.persistent.as_ref().map(|_| Step::remove(persistent::PATH));
                let lock = record.locked.then(|| Step::remove(format!("{RUN}/{}", staged::LOCKED)));
                let steps = [Step::remove(staged::PATH)].into_iter().chain(lock).chain(kept);
                self.push(Action::RemoveRecords, steps);
                self.forget_initrds(record.overlay_initrds.clone());
                self.push(Action::Notify(None), [notify()]);
            }
            // Also an update that a boot has not taken up yet: this is what is wanted now.
            _ => {
                let is_kept = is_there(sysroot, persistent::PATH);
                self.push(Action::ForgetPersistent, is_kept.then(|| Step::remove(persistent::PATH)));
                self.push(Action::Notify(None), [notify()]);
            }
        }
    }

    /// Writes both records of a staged deployment.
    pub(super) fn write_records(&mut self, record: Staged, menu: Vec<DeploymentPath>) {
        let mut steps = missing_in_run(&[RUN], self);
        if record.locked {
            steps.push(Step::write(format!("{RUN}/{}", staged::LOCKED)));
        }
        steps.push(Step::write(staged::PATH));
        if !record.locked && rustix::fs::stat(format!("{RUN}/{}", staged::LOCKED)).is_ok() {
            steps.push(Step::remove(format!("{RUN}/{}", staged::LOCKED)));
        }
        steps.extend([notify(), Step::write(persistent::PATH)]);
        self.push(Action::WriteRecords(Box::new(record), menu), steps);
    }

    fn forget_initrds(&mut self, checksums: Vec<Checksum>) {
        if !checksums.is_empty() {
            let path = |checksum: &Checksum| format!("{RUN}/staged-initrds/{checksum}");
            let steps: Vec<_> = checksums.iter().map(|c| Step::Forget { path: path(c) }).collect();
            self.push(Action::ForgetInitrds(checksums), steps);
        }
    }

    /// Lets go of the reserve if next to nothing is free.
    pub(super) fn release_reserve(&mut self, sysroot: &Sysroot) {
        let steps: Vec<Step> = reserve::scarce(sysroot.places()).into_iter().map(Step::remove).collect();
        // The free space is asked for again by then.
        self.push(Action::ReleaseReserve, steps);
    }

    /// Removes deployments, refs, and with `prune` objects.
    pub(super) fn clean_up(
        &mut self,
        sysroot: &Sysroot,
        loaded: &Loaded,
        gone: &[DeploymentPath],
        refs: &RefPlan,
        prune: bool,
    ) -> Result<()> {
        for path in gone {
            let beside = [format!("/{}", path_of(path)), format!("/{path}.origin")];
            let beside = beside.into_iter().filter(|path| is_there(sysroot, path));
            let steps = beside.map(Step::remove).chain([Step::remove(format!("/{path}"))]);
            self.push(Action::RemoveDeployment(path.clone()), steps.collect::<Vec<_>>());
        }
        for (name, commit) in &refs.set {
            let step = Step::SetRef { name: name.clone(), commit: Some(commit.to_string()) };
            self.push(Action::SetRef(name.clone(), *commit), [step]);
        }
        for name in &refs.delete {
            self.push(Action::DeleteRef(name.clone()), [Step::DeleteRef { name: name.clone() }]);
        }
        if prune {
            self.push(Action::Prune, [Step::Prune]);
        } else {
            let may_be_there = !gone.is_empty() || sysroot.repo().has_checkout_cache().unwrap_or(true);
            let trim = may_be_there.then(|| Step::TrimCache { path: removal::CACHE.to_owned() });
            self.push(Action::TrimCache, trim);
        }
        let missing = reserve::missing(sysroot.places(), loaded.boot.boot_on_root);
        let fill: Vec<_> = missing.into_iter().map(|path| Step::FillReserve { path }).collect();
        self.push(Action::FillReserve, fill);
        Ok(())
    }

    /// Finishes the previous switch, and removes what it has left.
    pub(super) fn sweep(&mut self, plan: SweepPlan) {
        let steps: Vec<Step> = step::of_boot(&plan.steps()).collect();
        self.push(Action::Sweep(Box::new(plan)), steps);
    }
}

/// All of a deployment that is staged now.
pub(super) fn staging(
    tasks: &mut Tasks,
    sysroot: &Sysroot,
    loaded: &Loaded,
    work: &DeployWork,
    record: Staged,
) -> Result<()> {
    let DeployWork { plan, menu, .. } = work;
    tasks.start_service();
    tasks.tree(sysroot, loaded, plan, false)?;
    tasks.make_room(menu);
    let switch = &menu.switch;
    tasks.push(Action::Prestage(Box::new(switch.clone())), step::of_boot(&switch.prestage_steps()));
    tasks.push(Action::SyncRoot, [Step::Sync { path: "/".to_owned() }]);
    let fewer = menu.room.as_ref().is_some_and(|room| room.fewer.is_some());
    let now: Vec<DeploymentPath> = match fewer {
        true => menu
            .items
            .iter()
            .filter_map(|item| item.path(loaded))
            .filter(|p| **p != plan.path)
            .cloned()
            .collect(),
        false => loaded.menu(),
    };
    tasks.write_records(record, now);
    tasks.push(Action::Committed, []);
    let stays = |path: &DeploymentPath| {
        *path == plan.path || loaded.deployments.iter().any(|d| d.path == *path && !d.staged)
    };
    let gone: Vec<_> = on_disk(sysroot).into_iter().filter(|path| !stays(path)).collect();
    tasks.clean_up(sysroot, loaded, &gone, &menu.refs, menu.prune)
}

/// All that is left of a staged deployment, with that whose `/etc` is merged, for the shutdown. `is_ahead`: it is yet to be staged.
pub(super) fn finalization(
    tasks: &mut Tasks,
    sysroot: &Sysroot,
    loaded: &Loaded,
    (record, merge): (&Staged, Option<&DeploymentPath>),
    menu: &MenuPlan,
    is_ahead: bool,
) -> Result<()> {
    let kept = is_ahead || loaded.persistent.is_some();
    let count = kept.then(|| Step::write(persistent::PATH));
    tasks.push(Action::Begun, count);
    let lock = rustix::fs::stat(format!("{RUN}/{}", staged::LOCKED)).is_ok();
    let lock = lock.then(|| Step::remove(format!("{RUN}/{}", staged::LOCKED)));
    tasks.push(Action::Begun, [Step::remove(staged::PATH)].into_iter().chain(lock));
    tasks.finish_tree(sysroot, &record.target.path, merge, is_ahead);
    if is_ahead {
        // By then it has a record, which goes.
        let switch = menu.switch.once_prestaged();
        let refs = RefPlan::new(
            menu.refs.set.iter().map(|(name, _)| name.clone()),
            &menu.switch.to,
            menu.items.iter().filter_map(|item| item.path(loaded)),
        );
        let steps = boot_steps(sysroot, &switch.steps());
        tasks.push(Action::Switch(Box::new(switch)), steps);
        tasks.push(Action::ForgetPersistent, [Step::remove(persistent::PATH)]);
        tasks.push(Action::Notify(None), [notify()]);
        tasks.clean_up(sysroot, loaded, &gone(sysroot, loaded, menu), &refs, false)?;
    } else {
        tasks.menu(sysroot, loaded, menu, &menu.refs)?;
        let stamp = format!("/boot/ostree/{STAMP}");
        let is_stamped = is_there(sysroot, &stamp);
        tasks.push(Action::RemoveStamp, is_stamped.then(|| Step::remove(stamp)));
    }
    Ok(())
}

/// The deployments that a menu does not keep.
pub(super) fn gone(sysroot: &Sysroot, loaded: &Loaded, menu: &MenuPlan) -> Vec<DeploymentPath> {
    let staged = loaded.staged.as_ref().map(|record| &record.target.path);
    let listed = |path: &DeploymentPath| menu.items.iter().any(|item| item.path(loaded) == Some(path));
    let stays = |path: &DeploymentPath| {
        listed(path)
            || loaded.deployments.iter().any(|d| d.path == *path && d.booted)
            || (staged == Some(path) && !matches!(menu.staging, Staging::Discarded(_)))
    };
    on_disk(sysroot).into_iter().filter(|path| !stays(path)).collect()
}

/// The deployments that there are. That they cannot be listed stops no switch: then none of them goes.
fn on_disk(sysroot: &Sysroot) -> Vec<DeploymentPath> {
    deployments_in(sysroot.root()).unwrap_or_else(|error| {
        log::warn!("{error:#}; no deployment is removed");
        Vec::new()
    })
}

/// The deployments that are not in the menu, and neither staged nor running.
pub(super) fn unlisted(sysroot: &Sysroot, loaded: &Loaded) -> Result<Vec<DeploymentPath>> {
    let kept = loaded.persistent.as_ref().map(|kept| &kept.staged.target.path);
    let stays =
        |path: &DeploymentPath| kept == Some(path) || loaded.deployments.iter().any(|d| d.path == *path);
    Ok(deployments_in(sysroot.root())?.into_iter().filter(|path| !stays(path)).collect())
}

/// The step that tells other programs.
pub(super) fn notify() -> Step {
    Step::Notify { path: "/ostree/deploy".to_owned() }
}

fn conflicts(path: &DeploymentPath) -> Step {
    Step::Record { path: format!("/{}/{}", path_of(path), etc::conflicts::RECORD) }
}

fn new_initrds(item: &Item) -> Vec<Checksum> {
    match item {
        Item::New(new) => new.overlay_initrds.clone(),
        Item::Old { .. } => Vec::new(),
    }
}

/// The directories beside a deployment.
fn backing(path: &DeploymentPath) -> [String; 5] {
    let parent = format!("/ostree/deploy/{}/backing", path.stateroot);
    let top = format!("/{}", path_of(path));
    let transient = format!("{top}/root-transient");
    [parent, top, transient.clone(), format!("{transient}/work"), format!("{transient}/upper")]
}

/// The steps of a switch, less the link that is there from the first one on.
fn boot_steps(sysroot: &Sysroot, steps: &[bootloader::Step]) -> Vec<Step> {
    let is_linked = is_there(sysroot, "/boot/boot");
    let is_needed = |step: &bootloader::Step| !is_linked || *step != bootloader::Step::SelfLink;
    let steps: Vec<bootloader::Step> = steps.iter().filter(|step| is_needed(step)).cloned().collect();
    step::of_boot(&steps).collect()
}

/// Makes those directories that are not there.
fn make_missing(sysroot: &Sysroot, paths: impl IntoIterator<Item = String>) -> Vec<Step> {
    let missing = paths.into_iter().filter(|path| !is_there(sysroot, path));
    missing.map(|path| Step::MakeDirectory { path }).collect()
}

/// The same in `/run`, where an earlier task may make them too.
fn missing_in_run(paths: &[&str], before: &Tasks) -> Vec<Step> {
    let planned = before.steps();
    let missing = paths.iter().filter(|path| rustix::fs::statat(CWD, **path, AtFlags::empty()).is_err());
    let steps = missing.map(|path| Step::MakeDirectory { path: (*path).to_owned() });
    steps.filter(|step| !planned.contains(step)).collect()
}
