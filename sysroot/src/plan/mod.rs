// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every change of the deployments as plain data: what is written, copied, switched and removed, in which order, and how much space
//! it takes. Made without touching anything; carried out under the lock, after a look whether what it relied on is still so.

mod print;
mod request;
mod step;

use anyhow::Result;
use bootloader::{Slot, Space, SwitchPlan};
use formats::bootlink::DeploymentPath;
use serde::Serialize;

use crate::cleanup::{self, Cleaned};
use crate::deploy::{DeployOptions, DeployPlan, DeployWork, Deployed, StagedDeployment};
use crate::deployment::Origin;
use crate::load::Loaded;
use crate::lock::Lock;
use crate::menu::{MenuPlan, Staging, Switched};
use crate::space::Counting;
use crate::sysroot::Sysroot;
use crate::{kept, staged};

pub use request::Request;
pub use step::Step;

/// Raised when a key of the JSON form changes its meaning or goes; new keys and steps do not raise it.
const SCHEMA: u32 = 1;

/// A change of the deployments.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Plan {
    /// The version of the JSON form.
    pub schema: u32,
    /// What was asked for: the name of the command.
    pub operation: &'static str,
    /// The deployments in the order of the boot menu, as they are now; a staged one in front of them.
    #[serde(serialize_with = "as_texts")]
    pub before: Vec<DeploymentPath>,
    /// The same afterwards; of a staged deployment, after the shutdown.
    #[serde(serialize_with = "as_texts")]
    pub after: Vec<DeploymentPath>,
    /// The deployment that is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<DeployPlan>,
    /// What is done now, in this order.
    pub steps: Vec<Step>,
    /// What is left for the shutdown, in this order: of a staged deployment.
    pub at_shutdown: Vec<Step>,
    /// What the root has room for, and what is written there.
    pub root: Space,
    /// The same of `/boot`; left out where it is on the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot: Option<Space>,
    /// What deserves a look but is in nobody's way.
    pub warnings: Vec<String>,
    #[serde(skip)]
    slot: Slot,
    #[serde(skip)]
    work: Work,
}

/// What carries a plan out.
#[derive(Debug, Clone)]
enum Work {
    Deploy(Box<DeployWork>),
    Stage { work: Box<DeployWork>, options: Box<DeployOptions>, locked: bool },
    Menu(Box<MenuPlan>),
    Cleanup,
    Pin(Vec<(DeploymentPath, Origin)>),
}

/// What a plan has come to.
#[derive(Debug)]
pub enum Applied {
    /// A deployment.
    Deployed(Box<Deployed>),
    /// A deployment that waits for shutdown.
    Staged(Box<StagedDeployment>),
    /// Another boot menu.
    Switched(Box<Switched>),
    /// What was removed.
    Cleaned(Cleaned),
    /// How many origins were written.
    Pinned(usize),
}

/// Somebody else was faster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("The deployments have changed since this was planned; look at the new plan and try again")]
pub struct Changed;

impl Sysroot {
    /// Plans a change, without touching anything.
    ///
    /// Errors: what the change would be refused for.
    pub fn plan(&self, request: &Request) -> Result<Plan> {
        self.plan_from(&self.load()?, request)
    }

    fn plan_from(&self, loaded: &Loaded, request: &Request) -> Result<Plan> {
        let work = self.work(loaded, request)?;
        let mut plan = self.describe(loaded, request.name(), work)?;
        if !loaded.boot.boot_on_root && plan.boot.is_none() {
            plan.boot = Some(self.boot_space()?);
        }
        Ok(plan)
    }

    /// Carries a plan out.
    ///
    /// Errors: [`Changed`], if what it relied on is not so any more; then nothing is written.
    pub fn apply(&self, lock: &Lock, plan: &Plan) -> Result<Applied> {
        let loaded = self.load()?;
        if plan.before != paths(&loaded) || plan.slot != loaded.boot.slot() {
            return Err(Changed.into());
        }
        Ok(match &plan.work {
            Work::Deploy(work) => {
                Applied::Deployed(Box::new(self.carry_out_deployment(lock, &loaded, work)?))
            }
            Work::Stage { work, options, locked } => {
                Applied::Staged(Box::new(self.carry_out_staging(lock, &loaded, work, options, *locked)?))
            }
            Work::Menu(menu) => Applied::Switched(Box::new(self.switch_menu(lock, &loaded, menu)?)),
            Work::Cleanup => Applied::Cleaned(self.cleanup(lock)?),
            Work::Pin(origins) => {
                for (path, origin) in origins {
                    self.set_origin(lock, path, origin)?;
                }
                Applied::Pinned(origins.len())
            }
        })
    }

    fn work(&self, loaded: &Loaded, request: &Request) -> Result<Work> {
        Ok(match request {
            Request::Deploy(options) => {
                Work::Deploy(Box::new(self.plan_deployment(loaded, options, Counting::Always)?))
            }
            Request::Stage { options, locked } => Work::Stage {
                work: Box::new(self.plan_staging(loaded, options, Counting::Always)?),
                options: Box::new(options.clone()),
                locked: *locked,
            },
            Request::Cleanup => {
                cleanup::check_whole(loaded)?;
                Work::Cleanup
            }
            Request::Pin { indices, on } => {
                let mut origins = Vec::new();
                for &index in indices {
                    let Some(d) = loaded.deployments.get(loaded.check(index)?) else { continue };
                    origins.extend(d.with_pin(*on)?.map(|origin| (d.path.clone(), origin)));
                }
                Work::Pin(origins)
            }
            Request::Undeploy(_)
            | Request::SetDefault(_)
            | Request::Rollback
            | Request::KernelArgs { .. } => {
                let (items, prune) = request.items(loaded)?;
                Work::Menu(Box::new(self.plan_menu(loaded, &items, prune, self.boot_settings(loaded)?)?))
            }
        })
    }

    fn describe(&self, loaded: &Loaded, operation: &'static str, work: Work) -> Result<Plan> {
        let mut plan = Plan {
            schema: SCHEMA,
            operation,
            before: paths(loaded),
            after: paths(loaded),
            deployment: None,
            steps: Vec::new(),
            at_shutdown: Vec::new(),
            root: self.root_space()?.0,
            boot: None,
            warnings: Vec::new(),
            slot: loaded.boot.slot(),
            work,
        };
        match plan.work.clone() {
            Work::Deploy(work) => {
                plan.steps = self.making(loaded, &work.plan, true)?;
                self.describe_menu(&mut plan, loaded, &work.menu, Some(&work.plan))?;
                plan.root = work.space;
                plan.deployment = Some(work.plan);
            }
            Work::Stage { work, .. } => {
                plan.steps = vec![Step::Run {
                    command: format!("systemctl start {}", crate::deploy::FINALIZE_SERVICE),
                }];
                plan.steps.extend(self.making(loaded, &work.plan, false)?);
                self.describe_menu(&mut plan, loaded, &work.menu, Some(&work.plan))?;
                split_at_shutdown(&mut plan, &work.plan, &work.menu.switch);
                plan.root = work.space;
                plan.deployment = Some(work.plan);
            }
            Work::Menu(menu) => self.describe_menu(&mut plan, loaded, &menu, None)?,
            Work::Cleanup => {
                let settings = self.boot_settings(loaded)?;
                let sweep = bootloader::leftovers(&loaded.boot, &settings);
                plan.steps.push(Step::Prove);
                plan.steps.extend(sweep.iter().map(Step::remove));
                if self.repo().has_retired_tree()? {
                    plan.steps.push(Step::remove("/ostree/repo/tmp/retired-tree"));
                }
                let gone = self.unneeded_deployments(loaded, &settings)?;
                plan.steps.extend(gone.iter().flat_map(removal));
                plan.steps.push(Step::Prune);
            }
            Work::Pin(origins) => {
                plan.steps = origins
                    .iter()
                    .map(|(path, origin)| Step::Write {
                        path: format!("/{path}.origin"),
                        text: Some(origin.0.to_string()),
                    })
                    .collect();
            }
        }
        Ok(plan)
    }

    /// The tree of a new deployment.
    fn making(&self, loaded: &Loaded, plan: &DeployPlan, merged: bool) -> Result<Vec<Step>> {
        let DeployPlan { path, merge, .. } = plan;
        let (tree, stateroot) = (format!("/{path}"), format!("/ostree/deploy/{}", path.stateroot));
        let mut steps = vec![
            Step::SetRef { name: crate::spare::name(loaded), commit: path.checksum.to_string() },
            Step::CheckOut { commit: path.checksum.to_string(), to: tree.clone() },
            Step::CopyEtc { to: format!("{tree}/etc") },
        ];
        for initrd in &plan.overlay_initrds {
            steps.insert(
                0,
                Step::Copy {
                    from: initrd.path.display().to_string(),
                    to: format!("/run/ostree/staged-initrds/{}", initrd.checksum),
                    bytes: Some(initrd.size),
                },
            );
        }
        if let Some(merge) = merge.as_ref().filter(|_| merged) {
            steps.push(Step::MergeEtc { from: format!("/{merge}/etc"), to: format!("{tree}/etc") });
        }
        steps.push(Step::FillVar { path: format!("{stateroot}/var") });
        steps.push(Step::MakeDirectory { path: format!("{stateroot}/backing/{}", path.name()) });
        steps.push(Step::Write { path: format!("{tree}.origin"), text: Some(plan.origin.0.to_string()) });
        Ok(steps)
    }

    fn describe_menu(
        &self,
        plan: &mut Plan,
        loaded: &Loaded,
        menu: &MenuPlan,
        new: Option<&DeployPlan>,
    ) -> Result<()> {
        let mut state = loaded.boot.clone();
        if let Some(room) = &menu.room {
            plan.steps.push(Step::Prove);
            plan.steps.extend(room.sweep.iter().map(Step::remove));
            if let Some(fewer) = &room.fewer {
                plan.steps.extend(step::of_switch(fewer));
                state = fewer.foresee(&state);
            }
        }
        let switch = &menu.switch;
        plan.steps.extend(step::of_switch(switch));
        let staged = loaded.staged.as_ref().map(|record| &record.target.path);
        match &menu.staging {
            Staging::Stays | Staging::Finished if loaded.kept.is_none() => {}
            Staging::Stays | Staging::Finished => plan.steps.push(match staged {
                Some(_) => Step::write(kept::PATH),
                None => Step::remove(kept::PATH),
            }),
            Staging::Edited(_) => plan.steps.extend([staged::PATH, kept::PATH].map(Step::write)),
            Staging::GivenUp(_) => plan.steps.extend([staged::PATH, kept::PATH].map(Step::remove)),
        }
        let after: Vec<DeploymentPath> =
            menu.items.iter().filter_map(|item| item.path(loaded, new)).collect();
        let stays = |path: &DeploymentPath| {
            after.contains(path)
                || loaded.deployments.iter().any(|d| d.path == *path && d.booted)
                || (staged == Some(path) && !matches!(menu.staging, Staging::GivenUp(_)))
        };
        let gone: Vec<_> = self.deployments_on_disk()?.into_iter().filter(|path| !stays(path)).collect();
        plan.steps.extend(gone.iter().flat_map(removal));
        plan.steps.extend(after.iter().enumerate().map(|(index, path)| Step::SetRef {
            name: cleanup::ref_name(&switch.to, index),
            commit: path.checksum.to_string(),
        }));
        if menu.prune {
            plan.steps.push(Step::Prune);
        }
        if !state.boot_on_root {
            plan.boot = Some(switch.space(self.places(), &state)?);
        }
        plan.warnings.clone_from(&switch.warnings);
        let kept = staged.filter(|path| stays(path) && !after.contains(path)).cloned();
        plan.after = kept.into_iter().chain(after).collect();
        Ok(())
    }

    fn boot_space(&self) -> Result<Space> {
        let fs = rustix::fs::fstatvfs(self.places().boot)?;
        let free_files = if fs.f_files == 0 { u64::MAX } else { fs.f_favail };
        Ok(Space { free: fs.f_bavail.saturating_mul(fs.f_frsize), needed: 0, free_files, needed_files: 0 })
    }
}

/// Of a deployment that is staged: boot files, entries where nobody reads them, and the record now; `/etc` and the switch at shutdown.
fn split_at_shutdown(plan: &mut Plan, deployment: &DeployPlan, menu: &SwitchPlan) {
    let is_boot_file = |step: &Step| matches!(step, Step::Copy { to, .. } if to.starts_with("/boot/ostree/"));
    let steps = std::mem::take(&mut plan.steps);
    let switch = steps.iter().rposition(|step| matches!(step, Step::Sync { .. })).unwrap_or(steps.len());
    let tree = format!("/{}", deployment.path);
    for (index, step) in steps.into_iter().enumerate() {
        if index < switch || is_boot_file(&step) {
            plan.steps.push(step);
        } else if step != Step::Prune {
            plan.at_shutdown.push(step);
        }
    }
    let ahead = menu.rehearsed().map(|(path, file)| Step::Write { path, text: Some(file.text.clone()) });
    plan.steps.extend(ahead);
    plan.steps.push(Step::Sync { path: "/".to_owned() });
    plan.steps.extend([staged::PATH, kept::PATH].map(Step::write));
    if let Some(merge) = &deployment.merge {
        plan.at_shutdown
            .insert(0, Step::MergeEtc { from: format!("/{merge}/etc"), to: format!("{tree}/etc") });
    }
    plan.at_shutdown.splice(0..0, [Step::write(kept::PATH), Step::remove(staged::PATH)]);
    plan.at_shutdown.push(Step::remove(kept::PATH));
}

/// What belongs to a deployment.
fn removal(path: &DeploymentPath) -> [Step; 3] {
    [
        Step::remove(format!("/ostree/deploy/{}/backing/{}", path.stateroot, path.name())),
        Step::remove(format!("/{path}.origin")),
        Step::remove(format!("/{path}")),
    ]
}

fn paths(loaded: &Loaded) -> Vec<DeploymentPath> {
    loaded.deployments.iter().map(|d| d.path.clone()).collect()
}

fn as_texts<S: serde::Serializer>(paths: &[DeploymentPath], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(paths.iter().map(DeploymentPath::to_string))
}
