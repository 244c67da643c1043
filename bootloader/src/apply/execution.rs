// SPDX-License-Identifier: MIT OR Apache-2.0
//! Carrying out the steps of a plan, one after the other, and nothing else.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Result};
use durable::fault;
use durable::{Method, Place, Proof, Sharing, commit_link, copy_file_new, copy_file_replace, make_dir};
use durable::{stage_link, switch_link, write_new};
use rustix::fs::{AtFlags, Mode, OFlags, Stat, XattrFlags};
use rustix::io::Errno;

use super::error::{ApplyError, check_place};
use super::removal::{Swept, remove};
use super::{after, verify};
use crate::block_format::force_block_format;
use crate::dirs::{DIR_MODE, FILE_MODE, clear, open_parent, read_link};
use crate::files::CopyFile;
use crate::names::LOADER_TEMPORARY;
use crate::pending::{self, Pending};
use crate::places::Places;
use crate::plan::{Change, Of, PlanError, Step, SweepPlan, SwitchPlan, leftovers};
use crate::prestaged;
use crate::proof::{by_replay, is_switched_by_others};
use crate::record::Record;
use crate::settings::Settings;
use crate::state::{BootState, LoaderLink};

/// A plan that is being carried out, step by step: [`SwitchPlan::apply`] does all of them.
#[derive(Debug)]
pub struct Execution<'a> {
    places: Places<'a>,
    settings: &'a Settings,
    /// The switch; none of a sweep.
    plan: Option<&'a SwitchPlan>,
    /// The state before the first step.
    state: BootState,
    /// The proof of the file system as it was before the first write.
    shown: Option<Proof>,
    /// Whether a boot loader sees the chosen entries; `None` before anything was proven.
    proof: Option<Proof>,
    /// Why the boot loader still boots from the old entries, if so.
    failure: Option<String>,
    /// The state after the commit, once it was read.
    committed: Option<BootState>,
    /// The paths that may be removed, once they were asked for.
    removable: Option<Option<Removable>>,
    /// Whether what was put aside is not read any more.
    stale_is_proven: bool,
    swept: Swept,
}

/// The paths that the entries which are chosen now do not need.
#[derive(Debug)]
struct Removable {
    leftovers: BTreeSet<String>,
    stale_temps: BTreeSet<String>,
    note: bool,
}

impl<'a> Execution<'a> {
    /// Begins to carry a switch out, without writing anything.
    ///
    /// # Errors
    ///
    /// [`ApplyError`]: `/boot` is another one than the booted one, or the state is not the one that this was planned for.
    pub fn begin(plan: &'a SwitchPlan, places: Places<'a>, settings: &'a Settings) -> Result<Self> {
        Self::begin_in(BootState::read(places)?, plan, places, settings)
    }

    /// Begins as [`begin`](Self::begin) does, in a state that the caller has read under the lock.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn begin_in(
        state: BootState,
        plan: &'a SwitchPlan,
        places: Places<'a>,
        settings: &'a Settings,
    ) -> Result<Self> {
        check_place(places, settings)?;
        plan.check_state(&state)?;
        Self::new(Some(plan), plan.finish.is_some(), state, places, settings)
    }

    /// Begins to carry a sweep out, without writing anything.
    ///
    /// # Errors
    ///
    /// [`ApplyError::OtherBoot`].
    pub fn begin_sweep(plan: &SweepPlan, places: Places<'a>, settings: &'a Settings) -> Result<Self> {
        check_place(places, settings)?;
        Self::new(None, plan.finish.is_some(), BootState::read(places)?, places, settings)
    }

    fn new(
        plan: Option<&'a SwitchPlan>,
        finishes: bool,
        state: BootState,
        places: Places<'a>,
        settings: &'a Settings,
    ) -> Result<Self> {
        let failure = state.unfinished.clone().filter(|_| !finishes);
        let mut execution = Self {
            places,
            settings,
            plan,
            shown: None,
            // Before the first switch there is nothing to be proven.
            proof: (state.loader == LoaderLink::Missing).then_some(Proof::Proven(Method::Sync)),
            failure: None,
            committed: None,
            removable: None,
            stale_is_proven: false,
            swept: Swept::default(),
            state,
        };
        if let Some(reason) = failure {
            execution.fail(reason)?;
        }
        if plan.is_some_and(|plan| !plan.prove_previous && !finishes) {
            execution.check_space()?;
        }
        Ok(execution)
    }

    /// Carries out one of the plan's [steps](SwitchPlan::steps); they are to be done in their order.
    ///
    /// # Errors
    ///
    /// [`PlanError::RebootFirst`], [`ApplyError::Unfinished`] and [`ApplyError::NoSpace`], before the new set is begun; else
    /// what has failed.
    pub fn run(&mut self, step: &Step) -> Result<()> {
        fault::point(step.point());
        let (places, settings) = (self.places, self.settings);
        let (root, boot) = (places.root, places.boot);
        match step {
            Step::ProvePrevious => self.prove_previous(),
            Step::Note { of: Of::Previous, boot_version } => {
                // The work that is done now is to be proven, whatever was replayed before.
                self.proof.clone_from(&self.shown);
                // As for a switch: the next one must know that there is something to be proven, made under this boot.
                if self.is_proven() { Ok(()) } else { Record::new(*boot_version).write(root) }
            }
            Step::Note { of: Of::This, boot_version } => Record::new(*boot_version).write(root),
            Step::Update { update, .. } => {
                self.failure =
                    after::update(update, places, settings).err().map(|error| format!("{error:#}"));
                Ok(())
            }
            Step::ProveUpdate(_) if self.failure.is_some() || !self.is_proven() => Ok(()),
            Step::ProveUpdate(_) | Step::Prove => {
                self.proof = Some(durable::prove(boot, settings.freezing)?);
                Ok(())
            }
            Step::RemoveAside { .. } if self.failure.is_some() || !self.is_proven() => Ok(()),
            Step::RemoveAside { path } => {
                let (dir, name) = parent(places, path)?;
                durable::remove_tree(dir.as_fd(), name).map(drop)
            }
            Step::SettleStamp(of) => self.settle_stamp(*of),
            Step::ForceBlockFormat => self.force_block_format(),
            Step::SyncDeployments => durable::sync_fs(root),
            Step::Clear { path } => {
                open_parent(places, path)?.map_or(Ok(()), |(dir, name)| clear(dir.as_fd(), name))
            }
            Step::MakeDirectory { path } => {
                let (dir, name) = parent(places, path)?;
                make_dir(dir.as_fd(), name, DIR_MODE).map(drop)
            }
            Step::Copy(copy) => copy_boot_file(copy, places),
            Step::Write { path, text } => {
                let (dir, name) = parent(places, path)?;
                write_new(dir.as_fd(), name, text.as_bytes(), FILE_MODE)
            }
            Step::Adopt { from, path, text } => {
                let (from, to) = (parent(places, from)?, parent(places, path)?);
                let (from, to) = ((from.0.as_fd(), from.1), (to.0.as_fd(), to.1));
                if prestaged::adopt(from, to, text)? {
                    return Ok(());
                }
                write_new(to.0, to.1, text.as_bytes(), FILE_MODE)
            }
            Step::Generate { program, path, boot_version } => {
                let below = path.strip_prefix("/boot/").unwrap_or(path);
                after::generate(program, below, boot, *boot_version, settings.show_tools)
            }
            Step::Carry { from, path } => carry(places, from, path),
            Step::Stamp => Pending::write(boot, "the switch was interrupted"),
            Step::Link { path, target } => {
                let (dir, name) = parent(places, path)?;
                stage_link(dir.as_fd(), name, target)
            }
            Step::ChooseLinks { path, target } => {
                let (dir, name) = parent(places, path)?;
                switch_link(dir.as_fd(), name, target)
            }
            Step::SelfLink => match rustix::fs::symlinkat(".", boot, "boot") {
                Ok(()) | Err(Errno::EXIST) => Ok(()),
                Err(err) => Err(err).context("Making link /boot/boot"),
            },
            Step::StageLoader { target } => stage_link(boot, LOADER_TEMPORARY, target),
            Step::Verify => {
                self.plan.map_or(Ok(()), |plan| verify::verify(plan, &self.state, places, settings))
            }
            Step::VerifyPrestaged => {
                self.plan.map_or(Ok(()), |plan| verify::verify_prestaged(plan, places, settings))
            }
            Step::Settle if settings.test_freeze => Err(failed_freeze(boot)),
            Step::Settle => settle(boot, settings),
            Step::Commit { .. } => commit_link(boot, LOADER_TEMPORARY, "loader"),
            Step::Forget { path } => {
                let (dir, name) = parent(places, path)?;
                // It is in nobody's way.
                clear(dir.as_fd(), name).unwrap_or_else(|error| log::warn!("{error:#}"));
                Ok(())
            }
            Step::RemoveNote => {
                if self.removable()?.is_some_and(|removable| removable.note) {
                    Record::remove(root)
                } else {
                    Ok(())
                }
            }
            Step::Sweep { path } => {
                let may_go = self.removable()?.is_some_and(|removable| removable.leftovers.contains(path));
                if may_go { remove(places, path, &mut self.swept) } else { Ok(()) }
            }
            Step::ProveStale => {
                // A boot loader that has not seen the exchange of its first file reads what was put aside.
                self.stale_is_proven = self.removable()?.is_some()
                    && (settings.offline || durable::prove(boot, settings.freezing)?.is_proven());
                Ok(())
            }
            Step::RemoveStale { path } => {
                let is_proven = self.stale_is_proven;
                let may_go = self.removable()?.is_some_and(|removable| removable.stale_temps.contains(path));
                if is_proven && may_go { remove(places, path, &mut self.swept) } else { Ok(()) }
            }
            Step::RemoveLinks { .. } if self.failure.is_some() => Ok(()),
            Step::RemoveLinks { path } => remove(places, path, &mut self.swept),
        }
    }

    fn is_proven(&self) -> bool {
        self.proof.as_ref().is_some_and(Proof::is_proven)
    }

    /// Whether a new set of entries is begun, which touches what an old one may still be read from.
    fn changes_entries(&self) -> bool {
        self.plan.is_some_and(|plan| plan.change == Change::Entries)
    }

    fn check_space(&self) -> Result<()> {
        let shortage = self.plan.map(|plan| plan.shortage(self.places, &self.state, self.settings));
        match shortage.transpose()?.flatten() {
            Some(shortage) => Err(ApplyError::NoSpace(shortage).into()),
            None => Ok(()),
        }
    }

    /// The two-slot rule.
    fn prove_previous(&mut self) -> Result<()> {
        let shown = durable::prove(self.places.boot, self.settings.freezing);
        let shown = shown.context("Proving the previous switch")?;
        if self.state.loader != LoaderLink::Missing {
            self.proof = Some(by_replay(shown.clone(), &self.state, self.settings));
        }
        self.shown = Some(shown);
        self.refuse_unproven()?;
        self.check_space()
    }

    fn refuse_unproven(&self) -> Result<()> {
        match &self.proof {
            Some(Proof::Unproven(reason)) if self.changes_entries() && !self.settings.offline => {
                Err(PlanError::RebootFirst(reason.to_string()).into())
            }
            _ => Ok(()),
        }
    }

    /// The boot loader still boots from the old set, which must not be written over.
    fn fail(&mut self, reason: String) -> Result<()> {
        if self.changes_entries() {
            return Err(ApplyError::Unfinished(reason).into());
        }
        log::warn!("The boot loader still boots from the old entries, which stay: {reason}");
        self.failure = Some(reason);
        Ok(())
    }

    fn settle_stamp(&mut self, of: Of) -> Result<()> {
        match (self.failure.take(), of) {
            (None, of) => {
                pending::remove(self.places.boot)?;
                if of == Of::Previous { self.refuse_unproven() } else { Ok(()) }
            }
            (Some(reason), of) => {
                Pending::write(self.places.boot, &reason)?;
                let reason = Pending::of(self.places)?.map_or(reason, |pending| pending.reason);
                if of == Of::Previous {
                    return self.fail(reason);
                }
                log::warn!("The boot loader still boots from the old entries: {reason}");
                self.failure = Some(reason);
                Ok(())
            }
        }
    }

    fn force_block_format(&mut self) -> Result<()> {
        if self.changes_entries() || self.removable()?.is_some() {
            return force_block_format(self.places.boot, self.settings.freezing);
        }
        Ok(())
    }

    /// Gives the paths that may be removed: none as long as a boot loader may see other entries than those that are chosen.
    fn removable(&mut self) -> Result<Option<&Removable>> {
        if self.removable.is_none() {
            self.removable = Some(self.find_removable()?);
        }
        Ok(self.removable.as_ref().and_then(Option::as_ref))
    }

    fn find_removable(&mut self) -> Result<Option<Removable>> {
        if self.failure.is_some() || !(self.is_proven() || self.settings.offline) {
            return Ok(None);
        }
        let state = &*self.committed.insert(BootState::read(self.places)?);
        if state.check().is_err() {
            return Ok(None);
        }
        // By a replay it is proven for as long as the note says so: the boot loader has seen the previous set at this boot.
        let by_note =
            self.proof == Some(Proof::Proven(Method::Replay)) && is_switched_by_others(state, self.settings);
        Ok(Some(Removable {
            leftovers: leftovers(state, self.settings).into_iter().collect(),
            note: state.record.is_some() && !by_note,
            stale_temps: state.stale_temps.iter().cloned().collect(),
        }))
    }

    /// Gives the proof, why the boot loader is not up to date, the removed paths, and the state after the commit if it was read.
    pub(super) fn end(mut self) -> Result<(Proof, Option<String>, Swept, Option<BootState>)> {
        let proof = match self.proof.take() {
            Some(proof) => proof,
            None => durable::prove(self.places.boot, self.settings.freezing)?,
        };
        Ok((proof, self.failure, self.swept, self.committed))
    }
}

/// The directory that a path from the root is in, and its name there.
fn parent<'p>(places: Places<'_>, path: &'p str) -> Result<(OwnedFd, &'p str)> {
    open_parent(places, path)?.with_context(|| format!("There is no directory for {path}"))
}

/// Copies a file of others from the old set to the new one: not a link, for an edit in place changes one of them.
fn carry(places: Places<'_>, from: &str, path: &str) -> Result<()> {
    let ((old, old_name), (dir, name)) = (parent(places, from)?, parent(places, path)?);
    if let Some(target) = read_link(&old, old_name)? {
        return stage_link(dir.as_fd(), name, &target);
    }
    copy_file_new((old.as_fd(), old_name), (dir.as_fd(), name), Sharing::Blocks)
}

/// Where this cannot be proven the switch is made all the same: both sets stay, until it is proven or replayed that the new one is seen, and
/// [`apply`](SwitchPlan::apply) says so. What is lost is the order in which they come to the device: see `docs/order-of-writes.md`.
fn settle(boot: BorrowedFd<'_>, settings: &Settings) -> Result<()> {
    match durable::prove(boot, settings.freezing)? {
        Proof::Proven(_) => {}
        Proof::Unproven(reason) => log::info!("The new boot entries may not be in their place yet: {reason}"),
    }
    Ok(())
}

/// Lets the watchdog of a freeze run, in vain, and fails in the words of the C tools.
fn failed_freeze(boot: BorrowedFd<'_>) -> anyhow::Error {
    match durable::try_watchdog(boot) {
        Ok(()) => log::warn!("fifreeze watchdog was run"),
        Err(errno) => log::warn!("The watchdog of a freeze did not start: {errno}"),
    }
    anyhow::anyhow!("Full sync: During fsfreeze-thaw: aborting due to test-fifreeze")
}

fn copy_boot_file(copy: &CopyFile, places: Places<'_>) -> Result<()> {
    let path = format!("/boot/{}", copy.to);
    let (dir, name) = parent(places, &path)?;
    let (from, to) = ((places.root, copy.from.as_str()), (dir.as_fd(), name));
    let copied =
        if copy.replaces { copy_file_replace(from, to) } else { copy_file_new(from, to, Sharing::Link) };
    copied?;
    copy.label.as_deref().map_or(Ok(()), |label| label_copy(label, from, to))
}

/// Labels a copy, and brings the label to the disk. No boot loader asks for it: where the file system has no labels, or the
/// running policy does not let us set them, there is none.
fn label_copy(label: &str, from: Place<'_>, to: Place<'_>) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(to.0, to.1, flags, Mode::empty())?;
    let inode = |stat: Stat| (stat.st_dev, stat.st_ino);
    let source = rustix::fs::statat(from.0, from.1, AtFlags::SYMLINK_NOFOLLOW)?;
    if inode(rustix::fs::fstat(&file)?) == inode(source) {
        return Ok(());
    }
    let value = [label.as_bytes(), b"\0"].concat();
    match rustix::fs::fsetxattr(&file, "security.selinux", &value, XattrFlags::empty()) {
        Ok(()) => Ok(rustix::fs::fsync(&file)?),
        Err(Errno::OPNOTSUPP | Errno::PERM | Errno::ACCESS | Errno::INVAL) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("Labelling /boot/{}", to.1)),
    }
}
