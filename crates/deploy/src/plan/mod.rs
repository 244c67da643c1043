// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every change of the deployments as plain data: what is written, copied, switched and removed, in which order, and how much space
//! it takes. Made without touching anything; carried out under the lock, after a look whether what it relied on is still so.

mod compose;
mod perform;
mod print;
mod step;
mod task;

use anyhow::{Context, Result, bail, ensure};
use bootloader::{Change, Slot, Space, SweepPlan};
use formats::bootlink::DeploymentPath;
use formats::staged::Staged;
use serde::Serialize;
use sysroot::{Deployment, Loaded, Lock, Origin, Sysroot};

use crate::deploy_plan::DeployPlan;
use crate::deploy_work::{self, Deployed};
use crate::etc::{Moment, etc_attributes};
use crate::good_boot::{BootGood, has_leftovers};
use crate::menu::{self, MenuPlan, Staging, Switched};
use crate::preflight::Lack;
use crate::removal::{self, Cleaned};
use crate::request::Request;
use crate::space::Counting;
use crate::staging::{self, StagedDeployment};
use crate::tree::TreePlan;
use crate::{early_prune, finalize_menu, journal, origin, preflight};

use compose::tree_plan;
use perform::{Facts, Performance};
pub use step::Step;
pub(crate) use step::printed as printed_steps;
use task::{Action, Tasks};

/// Raised when a key of the JSON form changes its meaning or goes; new keys and steps do not raise it.
pub(crate) const SCHEMA: u32 = 1;

/// A change of the deployments.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Plan {
    /// The version of the JSON form.
    pub schema: u32,
    /// The name of the command that asks for it.
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
    /// The steps that are carried out now, in this order.
    #[serde(serialize_with = "step::printed")]
    pub steps: Vec<Step>,
    /// The steps that a staged deployment leaves for the shutdown, in this order.
    pub at_shutdown: Vec<Step>,
    /// The room on the root, and how much is written there.
    pub root: Space,
    /// The same of `/boot`; left out where it is on the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot: Option<Space>,
    /// The findings that deserve a look but are in nobody's way.
    pub warnings: Vec<String>,
    /// The deployments that this was planned for, with their origins and arguments.
    #[serde(skip)]
    present: Vec<Deployment>,
    #[serde(skip)]
    staged: Option<Staged>,
    #[serde(skip)]
    slot: Slot,
    /// The tasks, each with its steps.
    #[serde(skip)]
    tasks: Tasks,
    #[serde(skip)]
    facts: Facts,
    #[serde(skip)]
    end: End,
}

/// The outcome of a plan, as far as it is known before.
#[derive(Debug, Clone)]
enum End {
    Deployed { ignored: Vec<Lack>, of_running: bool, menu: MenuEnd },
    Staged { path: DeploymentPath, locked: bool, ignored: Vec<Lack> },
    Switched(MenuEnd),
    Cleaned,
    Good,
    Pinned,
}

/// The same of a boot menu.
#[derive(Debug, Clone)]
struct MenuEnd {
    count_change: i64,
    count: usize,
    unstaged: Option<DeploymentPath>,
}

impl MenuEnd {
    fn of(loaded: &Loaded, menu: &MenuPlan) -> Self {
        Self {
            count_change: count(menu.items.len()) - count(loaded.menu_len()),
            count: menu.items.len(),
            unstaged: match &menu.staging {
                Staging::Discarded(path) => Some(path.clone()),
                _ => None,
            },
        }
    }
}

/// The outcome of a plan.
#[derive(Debug)]
pub enum Applied {
    /// A deployment.
    Deployed(Box<Deployed>),
    /// A deployment that waits for shutdown.
    Staged(Box<StagedDeployment>),
    /// Another boot menu.
    Switched(Box<Switched>),
    /// A cleanup, with the removed paths.
    Cleaned(Cleaned),
    /// The end of a good boot.
    Good(BootGood),
    /// How many origins were written.
    Pinned(usize),
}

/// Somebody else was faster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("The deployments have changed since this was planned; look at the new plan and try again")]
pub struct Changed;

/// Plans a change, without touching anything.
///
/// # Errors
///
/// The change would be refused.
pub fn plan(sysroot: &Sysroot, request: &Request) -> Result<Plan> {
    plan_from(sysroot, &sysroot.load()?, request, Counting::Always)
}

/// Carries a plan out.
///
/// # Errors
///
/// [`Changed`], if what it relied on is not so any more; then nothing is written.
pub fn apply(lock: &Lock<'_>, plan: &Plan) -> Result<Applied> {
    let loaded = lock.sysroot().load()?;
    if !plan.fits(&loaded) {
        return Err(Changed.into());
    }
    perform(lock, &loaded, plan)
}

/// Plans a change and carries it out: nobody looks at the plan.
pub(crate) fn change(lock: &Lock<'_>, request: &Request) -> Result<Applied> {
    let loaded = lock.sysroot().load()?;
    let plan = plan_from(lock.sysroot(), &loaded, request, Counting::WhereItMatters)?;
    perform(lock, &loaded, &plan)
}

fn plan_from(sysroot: &Sysroot, loaded: &Loaded, request: &Request, counting: Counting) -> Result<Plan> {
    let begin = |settings| Plan::new(sysroot, loaded, request.name(), settings);
    let mut plan = match request {
        Request::Deploy(options) => {
            let work = deploy_work::plan_deployment(sysroot, loaded, options, counting)?;
            let mut plan = begin(work.menu.settings.clone())?;
            plan.facts.tree = Some(tree_plan(sysroot, &work.plan));
            plan.tasks.tree(sysroot, loaded, &work.plan, true)?;
            let menu = plan.menu(sysroot, loaded, &work.menu)?;
            let merge = work.plan.merge.as_ref();
            let of_running = loaded.deployments.iter().any(|d| d.booted && merge == Some(&d.path));
            plan.end = End::Deployed { ignored: work.plan.ignored.clone(), of_running, menu };
            plan.root = work.space;
            plan.deployment = Some(work.plan);
            plan
        }
        Request::Stage { options, locked } => {
            let work = staging::plan_staging(sysroot, loaded, options, counting)?;
            let mut plan = begin(work.menu.settings.clone())?;
            plan.facts.tree = Some(tree_plan(sysroot, &work.plan));
            let record = staging::record(sysroot, loaded, &work, options, *locked)?;
            let mut later = Tasks::default();
            let merge = work.plan.merge.as_ref();
            compose::finalization(&mut later, sysroot, loaded, (&record, merge), &work.menu, true)?;
            compose::staging(&mut plan.tasks, sysroot, loaded, &work, record)?;
            // An earlier staged deployment goes now.
            let now = plan.tasks.steps();
            let is_removed = |step: &Step| matches!(step, Step::Remove { .. }) && now.contains(step);
            plan.at_shutdown = later.steps().into_iter().filter(|step| !is_removed(step)).collect();
            plan.describe(sysroot, loaded, &work.menu)?;
            let (path, ignored) = (work.plan.path.clone(), work.plan.ignored.clone());
            plan.end = End::Staged { path, locked: *locked, ignored };
            plan.root = work.space;
            plan.deployment = Some(work.plan);
            plan
        }
        Request::Finalize => {
            let record = loaded.staged.as_ref().context("No deployment is staged")?;
            ensure!(!record.locked, "The staged deployment {} is locked", record.target.path);
            return finalization(sysroot, loaded, record);
        }
        Request::Cleanup => {
            removal::check_whole(loaded).context("Cleaning up")?;
            let mut plan = begin(sysroot.boot_settings(loaded)?)?;
            plan.facts.retire = false;
            plan.facts.tell_proof = true;
            plan.tasks.release_reserve(sysroot);
            plan.tasks.sweep(SweepPlan::new(&loaded.boot, &plan.facts.settings)?);
            let cache = sysroot.repo().has_checkout_cache()?;
            plan.tasks.push(Action::RemoveCache, cache.then(|| Step::remove(removal::CACHE)));
            plan.tidy(sysroot, loaded, true)?;
            plan.end = End::Cleaned;
            plan
        }
        Request::BootGood => {
            removal::check_whole(loaded)?;
            let mut plan = begin(sysroot.boot_settings(loaded)?)?;
            // A file system is not frozen for nothing.
            if has_leftovers(loaded, &plan.facts.settings) {
                plan.tasks.sweep(SweepPlan::new(&loaded.boot, &plan.facts.settings)?);
            }
            plan.tidy(sysroot, loaded, false)?;
            plan.end = End::Good;
            plan
        }
        Request::Pin { indices, on } => {
            let mut plan = begin(sysroot.boot_settings(loaded)?)?;
            let mut seen = Vec::new();
            for &index in indices {
                let Some(d) = loaded.deployments.get(loaded.check(index)?) else { continue };
                let Some(origin) = origin::with_pin(d, *on)?.filter(|_| !seen.contains(&index)) else {
                    continue;
                };
                seen.push(index);
                let write =
                    Step::Write { path: format!("/{}.origin", d.path), text: Some(origin.0.to_string()) };
                let kept = loaded.persistent.as_ref().map(|_| Step::write(sysroot::staged::persistent::PATH));
                plan.tasks.release_reserve(sysroot);
                let steps = [write, compose::notify()].into_iter().chain(kept);
                plan.tasks.push(Action::Pin(d.path.clone(), *on), steps);
            }
            plan
        }
        Request::Undeploy(_) | Request::SetDefault(_) | Request::Rollback | Request::KernelArgs { .. } => {
            let (items, prune) = request.items(loaded)?;
            let menu = menu::plan_menu(sysroot, loaded, &items, prune, sysroot.boot_settings(loaded)?)?;
            plan_of_menu(sysroot, loaded, request.name(), &menu)?
        }
    };
    plan.steps = plan.tasks.steps();
    if !loaded.boot.boot_on_root && plan.boot.is_none() {
        plan.boot = Some(boot_space(sysroot)?);
    }
    Ok(plan)
}

/// Plans what is left of a staged deployment for the shutdown.
pub(crate) fn finalization(sysroot: &Sysroot, loaded: &Loaded, record: &Staged) -> Result<Plan> {
    let (merge, menu) = finalize_menu::plan_menu(sysroot, loaded, record)?;
    let mut plan = Plan::new(sysroot, loaded, Request::Finalize.name(), menu.settings.clone())?;
    plan.facts.tree = Some(TreePlan {
        path: record.target.path.clone(),
        merge: merge.clone(),
        origin: Origin::default(),
        selinux: selinux::Selinux::Label,
        ignore: preflight::ignored_at_shutdown(sysroot, record),
        moment: Moment::Shutdown,
        attributes: etc_attributes(&sysroot.options().with_staged_words(&record.options)),
    });
    compose::finalization(&mut plan.tasks, sysroot, loaded, (record, merge.as_ref()), &menu, false)?;
    plan.describe(sysroot, loaded, &menu)?;
    plan.end = End::Deployed { ignored: Vec::new(), of_running: false, menu: MenuEnd::of(loaded, &menu) };
    plan.steps = plan.tasks.steps();
    Ok(plan)
}

/// Plans a change of nothing but the boot menu.
fn plan_of_menu(
    sysroot: &Sysroot,
    loaded: &Loaded,
    operation: &'static str,
    menu: &MenuPlan,
) -> Result<Plan> {
    let mut plan = Plan::new(sysroot, loaded, operation, menu.settings.clone())?;
    plan.end = End::Switched(plan.menu(sysroot, loaded, menu)?);
    plan.steps = plan.tasks.steps();
    Ok(plan)
}

/// Switches to a menu that was planned otherwise.
pub(crate) fn switch(lock: &Lock<'_>, loaded: &Loaded, menu: &MenuPlan) -> Result<Switched> {
    match perform(lock, loaded, &plan_of_menu(lock.sysroot(), loaded, "switch", menu)?)? {
        Applied::Switched(switched) => Ok(*switched),
        _ => bail!("The plan was none of a boot menu"),
    }
}

pub(crate) fn perform(lock: &Lock<'_>, loaded: &Loaded, plan: &Plan) -> Result<Applied> {
    let mut work = Performance::new(lock, loaded, &plan.facts);
    let done = work.run(&plan.tasks.0);
    if matches!(plan.end, End::Staged { .. }) {
        done.context("Staging deployment")?
    } else {
        done?
    }
    plan.finish(work)
}

fn boot_space(sysroot: &Sysroot) -> Result<Space> {
    let fs = rustix::fs::fstatvfs(sysroot.places().boot)?;
    let free_files = if fs.f_files == 0 { u64::MAX } else { fs.f_favail };
    Ok(Space { free: fs.f_bavail.saturating_mul(fs.f_frsize), needed: 0, free_files, needed_files: 0 })
}

/// Plans nothing, for a caller that has steps of its own.
///
/// # Errors
///
/// The boot loader's settings or the file systems cannot be read.
pub fn plan_nothing(sysroot: &Sysroot, operation: &'static str) -> Result<Plan> {
    let loaded = sysroot.load()?;
    Plan::new(sysroot, &loaded, operation, sysroot.boot_settings(&loaded)?)
}

impl Plan {
    /// Adds the steps that a caller of [`apply`] takes itself, before it and after it.
    #[must_use]
    pub fn between(mut self, before: Vec<Step>, after: Vec<Step>) -> Self {
        self.steps.splice(0..0, before);
        self.steps.extend(after);
        self
    }

    fn new(
        sysroot: &Sysroot,
        loaded: &Loaded,
        operation: &'static str,
        settings: bootloader::Settings,
    ) -> Result<Self> {
        let retire = sysroot.boot_config()?.keep_checkout_cache;
        Ok(Self {
            schema: SCHEMA,
            operation,
            before: paths(loaded),
            after: paths(loaded),
            deployment: None,
            steps: Vec::new(),
            at_shutdown: Vec::new(),
            root: crate::space::root_space(sysroot)?.0,
            boot: None,
            warnings: Vec::new(),
            present: loaded.deployments.clone(),
            staged: loaded.staged.clone(),
            slot: loaded.boot.slot(),
            tasks: Tasks::default(),
            facts: Facts { settings, tree: None, retire, tell_proof: false, is_lenient: true },
            end: End::Pinned,
        })
    }

    /// Adds the tasks of another menu.
    fn menu(&mut self, sysroot: &Sysroot, loaded: &Loaded, menu: &MenuPlan) -> Result<MenuEnd> {
        self.tasks.menu(sysroot, loaded, menu, &menu.refs)?;
        self.describe(sysroot, loaded, menu)?;
        Ok(MenuEnd::of(loaded, menu))
    }

    /// Describes the menu that will be, and the room that it takes.
    fn describe(&mut self, sysroot: &Sysroot, loaded: &Loaded, menu: &MenuPlan) -> Result<()> {
        let after: Vec<DeploymentPath> =
            menu.items.iter().filter_map(|item| item.path(loaded)).cloned().collect();
        let staged = loaded.staged.as_ref().map(|record| &record.target.path);
        let stays =
            |path: &&DeploymentPath| !after.contains(path) && !matches!(menu.staging, Staging::Discarded(_));
        let kept: Vec<_> = staged.filter(stays).cloned().into_iter().collect();
        self.after = kept.into_iter().chain(after).collect();
        let fewer = menu.room.as_ref().and_then(|room| room.fewer.as_ref());
        let state =
            fewer.map_or_else(|| loaded.boot.clone(), |fewer| early_prune::state_after(fewer, &loaded.boot));
        if !state.boot_on_root {
            self.boot = Some(menu.switch.space(sysroot.places(), &state)?);
        }
        self.warnings.clone_from(&menu.switch.warnings);
        Ok(())
    }

    /// Removes what no entry leads to.
    fn tidy(&mut self, sysroot: &Sysroot, loaded: &Loaded, prune: bool) -> Result<()> {
        let refs = removal::plan_refs(sysroot, loaded)?;
        let gone = compose::unlisted(sysroot, loaded)?;
        self.facts.is_lenient = false;
        self.tasks.push(Action::Committed, []);
        self.tasks.clean_up(sysroot, loaded, &gone, &refs, prune)
    }

    /// Gives the outcome.
    fn finish(&self, work: Performance<'_>) -> Result<Applied> {
        let switched = |work: Performance<'_>, end: &MenuEnd| -> Result<(Switched, crate::tree::Made)> {
            let (plan, outcome) = work.switched.context("Nothing was switched")?;
            let (count_change, unstaged) = (end.count_change, end.unstaged.clone());
            let switched = Switched { plan, outcome, count_change, unstaged, cleaned: work.cleaned };
            let did_swap = switched.plan.change == Change::Entries;
            let loader = self.facts.settings.installed.loader.name();
            journal::complete(switched.summary(), did_swap, end.count, loader);
            Ok((switched, work.made))
        };
        Ok(match &self.end {
            End::Deployed { ignored, of_running, menu } => {
                let (switched, made) = switched(work, menu)?;
                Applied::Deployed(Box::new(Deployed::new(made, ignored.clone(), *of_running, switched)))
            }
            End::Staged { path, locked, ignored } => Applied::Staged(Box::new(StagedDeployment {
                path: path.clone(),
                locked: *locked,
                ignored: ignored.clone(),
                cleaned: work.cleaned,
            })),
            End::Switched(menu) => Applied::Switched(Box::new(switched(work, menu)?.0)),
            End::Cleaned => Applied::Cleaned(work.cleaned),
            End::Good => {
                let Performance { swept, unproven, cleaned, .. } = work;
                Applied::Good(BootGood { swept, unproven, cleaned })
            }
            End::Pinned => Applied::Pinned(work.pinned),
        })
    }

    /// Whether all that it relies on is still so. A pin is set in the origin as it is by then, whatever else that says.
    fn fits(&self, loaded: &Loaded) -> bool {
        self.before == paths(loaded)
            && self.slot == loaded.boot.slot()
            && (matches!(self.end, End::Pinned)
                || (self.present == loaded.deployments && self.staged == loaded.staged))
    }
}

fn count(deployments: usize) -> i64 {
    i64::try_from(deployments).unwrap_or(i64::MAX)
}

fn paths(loaded: &Loaded) -> Vec<DeploymentPath> {
    loaded.deployments.iter().map(|d| d.path.clone()).collect()
}

fn as_texts<S: serde::Serializer>(paths: &[DeploymentPath], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(paths.iter().map(DeploymentPath::to_string))
}
