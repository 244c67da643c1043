// SPDX-License-Identifier: MIT OR Apache-2.0
//! The steps of a repair, decided before anything is written.
//!
//! An action that puts something in the place of a name takes several: made under the repair's own name, a proof, exchanged
//! with what has the name, a proof, and what was there goes. [`Composition::put`] has the reasons.

use std::collections::BTreeSet;
use std::fmt;
use std::os::fd::BorrowedFd;

use anyhow::Result;
use bootloader::{BootState, Places, PlanError, Settings, repair_name};
use deploy::Step;
use rustix::fs::AtFlags;
use serde::Serialize;
use sysroot::staged::persistent;
use sysroot::{Sysroot, reserve};

use super::finding::{Action, BootCheck};

/// Raised when a key of the JSON form changes its meaning or goes; new keys and steps do not raise it.
const SCHEMA: u32 = 1;

const NOTE: &str = "/ostree/boot-switch";

/// A repair of the boot chain, step by step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RepairPlan {
    /// The version of the JSON form.
    pub schema: u32,
    /// The name of the command that asks for it.
    pub operation: &'static str,
    /// The steps, in the order in which they are carried out.
    pub steps: Vec<Step>,
    /// The faults, and the actions that the steps are made from.
    pub found: BootCheck,
    #[serde(skip)]
    pub(super) tasks: Vec<Task>,
}

/// A step as it is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Task {
    /// The reserves at these paths go.
    ReleaseReserve(Vec<String>),
    /// The switch before must be proven: what it left may still be read.
    ProvePrevious,
    /// A proof. Its outcome counts until the next one.
    Prove,
    /// The note that a boot loader may still see what was there before, unless the proof says that it does not.
    Note { boot_version: u8 },
    /// A directory on the way.
    MakeDirectory(String),
    /// Something that nothing needs, or the rest of an earlier repair.
    Remove(String),
    /// A directory gets its name.
    Rename { from: String, to: String },
    /// A file is copied under the repair's name.
    Copy { from: String, to: String, bytes: u64 },
    /// A file is written under the repair's name.
    Write { path: String, text: String },
    /// A link is made under the repair's name.
    Stage { path: String, target: String },
    /// A link that the initramfs reads, which replays the journal.
    Switch { path: String, target: String },
    /// The repair's name is exchanged with the real one.
    Exchange { from: String, to: String },
    /// An entry gets the repair's name.
    PutAside { from: String, to: String },
    /// The one before goes, once it is proven that no boot loader reads it.
    RemoveAside(String),
    /// Other programs are told. A record of what is staged speaks of the time that this sets, and is written again.
    Notify { is_staged: bool },
}

impl Task {
    fn steps(&self) -> Vec<Step> {
        let one = |step: Step| vec![step];
        let remove = |path: &String| Step::Remove { path: path.clone() };
        match self {
            Self::ReleaseReserve(paths) => paths.iter().map(remove).collect(),
            Self::ProvePrevious | Self::Prove => one(Step::Prove),
            Self::Note { .. } => one(Step::Record { path: NOTE.to_owned() }),
            Self::MakeDirectory(path) => one(Step::MakeDirectory { path: path.clone() }),
            Self::Remove(path) | Self::RemoveAside(path) => one(remove(path)),
            Self::Rename { from, to } | Self::Exchange { from, to } | Self::PutAside { from, to } => {
                one(Step::Rename { from: from.clone(), to: to.clone() })
            }
            Self::Copy { from, to, bytes } => {
                one(Step::Copy { from: format!("/{from}"), to: to.clone(), bytes: Some(*bytes) })
            }
            Self::Write { path, text } => one(Step::Write { path: path.clone(), text: Some(text.clone()) }),
            Self::Stage { path, target } => one(Step::Link { path: path.clone(), target: target.clone() }),
            Self::Switch { path, target } => one(Step::Switch { path: path.clone(), target: target.clone() }),
            Self::Notify { is_staged } => {
                let record = is_staged.then(|| Step::Record { path: persistent::PATH.to_owned() });
                [Step::Notify { path: "/ostree/deploy".to_owned() }].into_iter().chain(record).collect()
            }
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps: Vec<String> = self.steps().iter().map(Step::to_string).collect();
        f.write_str(&steps.join(", "))
    }
}

impl fmt::Display for RepairPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.found.problems {
            writeln!(f, "{}: {}", problem.path, problem.text)?;
            problem.by_hand.iter().try_for_each(|by_hand| writeln!(f, "  by hand: {by_hand}"))?;
        }
        writeln!(f, "Steps:")?;
        self.steps.iter().try_for_each(|step| writeln!(f, "  {step}"))
    }
}

impl RepairPlan {
    /// Plans the steps for what a check has found. Writes nothing.
    pub(super) fn new(sysroot: &Sysroot, found: BootCheck) -> Result<Self> {
        let tasks = if found.repair.is_empty() { Vec::new() } else { tasks(sysroot, &found.repair)? };
        let steps = tasks.iter().flat_map(Task::steps).collect();
        Ok(Self { schema: SCHEMA, operation: "fsck-boot", steps, found, tasks })
    }
}

fn tasks(sysroot: &Sysroot, actions: &[Action]) -> Result<Vec<Task>> {
    let settings = sysroot.boot_settings(&sysroot.load_lenient()?)?;
    let state = BootState::read(sysroot.places())?;
    let mut tasks = Vec::new();
    let reserves = reserve::scarce(sysroot.places());
    if !reserves.is_empty() {
        tasks.push(Task::ReleaseReserve(reserves));
    }
    // Room comes from files that the entries of now do not need. A boot loader may still read the entries before.
    if !settings.offline && actions.iter().any(frees_room) {
        tasks.push(Task::ProvePrevious);
    }
    tasks.extend(Composition::new(sysroot.places(), &state, &settings).tasks(actions)?);
    let is_staged = sysroot.persistent_record().is_ok_and(|record| record.is_some());
    tasks.push(Task::Notify { is_staged });
    Ok(tasks)
}

pub(super) fn frees_room(action: &Action) -> bool {
    matches!(action, Action::Remove { path } if path.starts_with("/boot/") && !is_entry(path))
}

/// Whether this is an entry of a set. It frees no room, so it is put aside before it is removed, which no former switch forbids.
fn is_entry(path: &str) -> bool {
    path.starts_with("/boot/loader.") && path.contains("/entries/") && path.ends_with(".conf")
}

/// The steps for actions, one after the other, and the names as they are by then.
pub(super) struct Composition<'a> {
    pub(super) places: Places<'a>,
    /// Unmounting the root proves the repair.
    pub(super) offline: bool,
    /// The set of entries that is chosen.
    pub(super) boot_version: u8,
    /// `/ostree/boot-switch` says that there is something to be proven, made under this boot.
    pub(super) noted: bool,
    made: BTreeSet<String>,
    gone: Vec<String>,
    moved: Vec<(String, String)>,
    tasks: Vec<Task>,
}

impl<'a> Composition<'a> {
    fn new(places: Places<'a>, state: &BootState, settings: &Settings) -> Self {
        let noted = state.record.as_ref().is_some_and(|record| record.is_of_this_boot());
        Self::of(places, settings.offline, state.boot_version(), noted)
    }

    pub(super) fn of(places: Places<'a>, offline: bool, boot_version: u8, noted: bool) -> Self {
        let (made, gone, moved, tasks) = Default::default();
        Self { places, offline, boot_version, noted, made, gone, moved, tasks }
    }

    /// Gives the steps, with a proof at the end.
    pub(super) fn tasks(mut self, actions: &[Action]) -> Result<Vec<Task>> {
        for action in actions {
            self.add(action)?;
        }
        self.tasks.push(Task::Prove);
        // Nothing is written between two that follow each other.
        self.tasks.dedup_by(|a, b| (&*a, &*b) == (&Task::Prove, &Task::Prove));
        Ok(self.tasks)
    }

    fn add(&mut self, action: &Action) -> Result<()> {
        match action {
            Action::Remove { path } if is_entry(path) => self.put_aside(path),
            Action::Remove { path } => {
                self.tasks.push(Task::Remove(path.clone()));
                self.gone.push(path.clone());
                Ok(())
            }
            Action::Rename { from, to } => {
                self.make_parents(to);
                self.tasks.push(Task::Rename { from: from.clone(), to: to.clone() });
                self.moved.push((from.clone(), to.clone()));
                Ok(())
            }
            Action::Copy { from, to, size } => {
                let (from, bytes) = (from.clone(), *size);
                self.put(to, |to| Task::Copy { from, to, bytes })
            }
            Action::Link { path, target } => {
                self.make_parents(path);
                self.tasks.push(Task::Switch { path: path.clone(), target: target.clone() });
                Ok(())
            }
            Action::Write { path, text } => {
                let text = text.clone();
                self.put(path, |path| Task::Write { path, text })
            }
            Action::Choose { target } => {
                self.boot_version = target.strip_prefix("loader.").and_then(|v| v.parse().ok()).unwrap_or(0);
                let target = target.clone();
                self.put("/boot/loader", |path| Task::Stage { path, target })
            }
        }
    }

    /// Puts what `make` makes in the place of a name, for a reader that does not replay the journal either.
    ///
    /// Order: made under a temporary name, a proof; exchange with what has the name, or rename where nothing has it, `fsync` of
    /// the directory; where there is an old one, a proof, and it is removed. A power cut leaves the old or the new one: a rename
    /// over the old one would free its inode as well, and on an xfs each of the three comes to its place by a write of its own.
    /// Without a proof the old one stays, and a note, which is there before the exchange, says until when.
    fn put(&mut self, path: &str, make: impl FnOnce(String) -> Task) -> Result<()> {
        let temporary = temporary(path);
        self.make_parents(path);
        self.clear(&temporary)?;
        self.tasks.push(make(temporary.clone()));
        self.note();
        self.tasks.push(Task::Exchange { from: temporary.clone(), to: path.to_owned() });
        self.settle(temporary, self.is_there(path));
        self.made.insert(path.to_owned());
        Ok(())
    }

    /// Takes an entry out of the menu.
    ///
    /// Order: a note unless all before is proven, rename to a temporary name, `fsync` of the directory, a proof, removal. A power cut
    /// leaves the entry or none; what it is read from is freed only by the removal.
    fn put_aside(&mut self, path: &str) -> Result<()> {
        let temporary = temporary(path);
        self.clear(&temporary)?;
        self.note();
        self.tasks.push(Task::PutAside { from: path.to_owned(), to: temporary.clone() });
        self.settle(temporary, true);
        self.gone.push(path.to_owned());
        Ok(())
    }

    /// Frees a temporary name, unless a boot loader may still read what has it.
    fn clear(&mut self, temporary: &str) -> Result<()> {
        if !self.is_there(temporary) {
            return Ok(());
        }
        if self.noted && !self.offline {
            let name = temporary.rsplit('/').next().unwrap_or(temporary);
            let reason = format!("{name} is what was there before an earlier repair");
            return Err(PlanError::RebootFirst(reason).into());
        }
        self.tasks.push(Task::Remove(temporary.to_owned()));
        Ok(())
    }

    fn note(&mut self) {
        self.tasks.push(Task::Prove);
        if !self.offline {
            self.tasks.push(Task::Note { boot_version: self.boot_version });
        }
    }

    fn settle(&mut self, temporary: String, was_there: bool) {
        self.tasks.push(Task::Prove);
        if was_there {
            self.tasks.push(Task::RemoveAside(temporary));
        }
    }

    /// Makes the directories on the way to a path.
    fn make_parents(&mut self, path: &str) {
        let ends: Vec<usize> = path.match_indices('/').map(|(at, _)| at).skip(1).collect();
        for dir in ends.into_iter().filter_map(|end| path.get(..end)) {
            if !matches!(dir, "/boot" | "/ostree") && !self.is_there(dir) {
                self.tasks.push(Task::MakeDirectory(dir.to_owned()));
                self.made.insert(dir.to_owned());
            }
        }
    }

    /// Whether something has a name once the steps so far are done.
    fn is_there(&self, path: &str) -> bool {
        if self.made.contains(path) {
            return true;
        }
        let mut path = path.to_owned();
        for (from, to) in self.moved.iter().rev() {
            if let Some(rest) = below(&path, to) {
                path = format!("{from}{rest}");
            } else if below(&path, from).is_some() {
                return false;
            }
        }
        if self.gone.iter().any(|gone| below(&path, gone).is_some()) {
            return false;
        }
        let (top, path) = in_place(self.places, &path);
        rustix::fs::statat(top, path, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }
}

/// The file system of a path, and the path below its top.
pub(super) fn in_place<'a, 'p>(places: Places<'a>, path: &'p str) -> (BorrowedFd<'a>, &'p str) {
    match path.strip_prefix("/boot/") {
        Some(below) => (places.boot, below),
        None => (places.root, path.trim_start_matches('/')),
    }
}

/// The rest of a path behind another one, with the slash; empty if they are the same.
fn below<'p>(path: &'p str, top: &str) -> Option<&'p str> {
    path.strip_prefix(top).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The path that has the new file before it gets its name, and the old one afterwards.
fn temporary(path: &str) -> String {
    let (dir, name) = path.rsplit_once('/').unwrap_or_default();
    format!("{dir}/{}", repair_name(name))
}
