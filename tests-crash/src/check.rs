// SPDX-License-Identifier: MIT OR Apache-2.0
//! Old or new, never neither: what must hold of a disk, whenever the power went.
//!
//! 1. `/boot`, read without replay as GRUB does, shows a menu that was whole at some moment of the operation: every file
//!    that an entry names is there with its contents.
//! 2. After replay each of those entries, and each that is there then, leads to a deployment that is complete: its tree is
//!    that of its commit, `/etc` and origin are there; `ostree-prepare-root --plan` finds it.
//! 3. The repository is whole, and what was interrupted can be done again, after a reboot, and ends as it should.
//!
//! Nothing is healed before it is looked at. What only depends on the files after replay is remembered by the hash of all
//! of them: most states of the disk differ in their journal alone.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::disk::Attached;
use crate::grub::Grub;
use crate::kit::{Kit, Programs};
use crate::menu::{Menu, MenuEntry};
use crate::operation::{Again, Operation};
use crate::record::{Recording, Reference};
use crate::session::Session;
use crate::snapshot::{Hash, Node, Snapshot};

/// What is wrong with a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// A boot loader finds neither the old menu nor the new one, or an entry that cannot be booted.
    Neither,
    /// It boots, and something else is broken: the repository, or the way on.
    Flagged,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub fault: Fault,
    /// What it is.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn neither(text: String) -> Problem {
    Problem { fault: Fault::Neither, text }
}

fn flagged(text: String) -> Problem {
    Problem { fault: Fault::Flagged, text }
}

/// Checks the states of one recording.
pub struct Checker<'a> {
    recording: &'a Recording,
    operation: &'a Operation,
    programs: &'a Programs,
    kit: &'a Kit,
    attached: Attached,
    image: PathBuf,
    directory: PathBuf,
    /// What was found for a digest of all files and the default that was booted.
    known: HashMap<(Hash, Option<String>), Vec<Problem>>,
    /// How often something had to be run for that.
    pub runs: usize,
}

impl<'a> Checker<'a> {
    /// For states that are made at `image`; works in `directory`.
    pub fn new(
        recording: &'a Recording,
        operation: &'a Operation,
        programs: &'a Programs,
        kit: &'a Kit,
        image: &Path,
        directory: &Path,
    ) -> Result<Self> {
        for name in ["root", "grub"] {
            std::fs::create_dir_all(directory.join(name))?;
        }
        Ok(Self {
            recording,
            operation,
            programs,
            kit,
            attached: Attached::new(recording.layout, image)?,
            image: image.to_owned(),
            directory: directory.to_owned(),
            known: HashMap::new(),
            runs: 0,
        })
    }

    /// Looks at the state that the image has now. An error is a failure of the test itself.
    pub fn check(&mut self) -> Result<Vec<Problem>> {
        let mut problems = Vec::new();
        // The loader comes first: mounting with replay changes the image.
        let grub = match Grub::mount(self.recording.layout, &self.image, &self.directory.join("grub")) {
            Ok(grub) => grub,
            Err(error) => return Ok(vec![neither(format!("{error:#}"))]),
        };
        // Links are followed below, in the root after replay.
        let mut seen = Menu::visible(&grub.boot);
        drop(grub);
        let mounted = match self.attached.mount(&self.directory.join("root")) {
            Ok(mounted) => mounted,
            Err(error) => return Ok(vec![neither(format!("{error:#}"))]),
        };
        let root = mounted.root.clone();
        let snapshot = Snapshot::of(&root)?;
        seen.follow(&snapshot);
        let replayed = Menu::read(&root.join("boot"), &snapshot);
        for (menu, who) in [(&seen, "a boot loader"), (&replayed, "after replay")] {
            problems.extend(self.menu_problems(menu, &snapshot).into_iter().map(|mut problem| {
                problem.text = format!("{who}: {}", problem.text);
                problem
            }));
        }
        if problems.is_empty() {
            let key = (snapshot.digest(), seen.default_deployment().map(str::to_owned));
            let found = match self.known.get(&key) {
                Some(found) => found.clone(),
                None => {
                    let found = self.run_programs(&seen, &root)?;
                    self.runs += 1;
                    self.known.insert(key, found.clone());
                    found
                }
            };
            problems.extend(found);
        }
        mounted.unmount()?;
        Ok(problems)
    }

    fn last(&self) -> Result<&Reference> {
        self.recording.references.last().context("Nothing was recorded")
    }

    /// Whether this menu was there at some moment, and each entry is whole.
    fn menu_problems(&self, menu: &Menu, root: &Snapshot) -> Vec<Problem> {
        let references = &self.recording.references;
        let was_empty = references.first().is_some_and(|before| before.menu.entries.is_empty());
        if menu.entries.is_empty() && was_empty {
            return Vec::new();
        }
        let mut problems: Vec<_> = menu.problems.iter().map(|problem| neither(problem.clone())).collect();
        if problems.is_empty() && !references.iter().any(|reference| reference.menu == *menu) {
            problems.push(neither(format!("this menu never was: {menu:?}")));
        }
        for entry in &menu.entries {
            problems.extend(self.entry_problems(entry, root).into_iter().map(neither));
        }
        problems
    }

    /// Whether the deployment of an entry is complete.
    fn entry_problems(&self, entry: &MenuEntry, root: &Snapshot) -> Option<String> {
        let deployment = entry.deployment.as_deref()?;
        let commit = entry.commit().and_then(|commit| self.kit.commits.get(commit));
        let Some(commit) = commit else { return Some(format!("{deployment} is of no known commit")) };
        let present: HashMap<&str, _> = root.below(deployment).collect();
        for (path, item) in &commit.items {
            if present.get(path.as_str()) != Some(&item) {
                return Some(format!(
                    "{deployment}/{path}: {:?} and not {item:?}",
                    present.get(path.as_str())
                ));
            }
        }
        let boot_files: Vec<&Hash> = commit.items.iter().filter_map(boot_file).collect();
        if boot_files.len() != entry.files.len() || !entry.files.iter().all(|file| boot_files.contains(&file))
        {
            return Some(format!("{deployment}: kernel and initramfs are not those of its commit"));
        }
        // Its /etc and its origin are those that it had at some moment at which it was in the menu.
        let mut reasons = Vec::new();
        for reference in &self.recording.references {
            let listed = reference.menu.entries.iter().any(|e| e.deployment.as_deref() == Some(deployment));
            if listed {
                match difference(&reference.snapshot, root, deployment) {
                    None => return None,
                    Some(difference) => reasons.push(difference),
                }
            }
        }
        Some(format!("{deployment}: {}", reasons.pop().unwrap_or_else(|| "was never in the menu".to_owned())))
    }

    /// What only programs can tell.
    fn run_programs(&self, seen: &Menu, root: &Path) -> Result<Vec<Problem>> {
        let mut problems = Vec::new();
        for entry in &seen.entries {
            let mut command = Command::new(self.programs.prepare_root());
            let done = command.arg("--plan=json").arg(root).arg(&entry.arguments).output();
            let done = done.context("Running ostree-prepare-root")?;
            let said = String::from_utf8_lossy(&done.stdout).into_owned();
            let finds = entry.deployment.as_deref().is_some_and(|deployment| said.contains(deployment));
            if !done.status.success() || !finds {
                let error = String::from_utf8_lossy(&done.stderr).into_owned();
                problems.push(neither(format!("ostree-prepare-root {}: {error}{said}", entry.arguments)));
            }
        }
        let out = self.directory.join("out");
        // Later than a second after anything was written: see `Session::boot`.
        let booted = seen.default_deployment().filter(|_| self.operation.booted);
        let mut session = Session::start(self.kit, root, booted, &out)?;
        let mut lines = vec!["ostree --repo=$REPO fsck -q"];
        lines.extend(self.again(seen)?);
        lines.push(self.operation.finally);
        for line in lines {
            let done = session.run(line)?;
            if done.status != 0 && !done.asks_for_reboot() {
                problems.push(flagged(format!("{line}: exit status {}: {}", done.status, done.said)));
            }
        }
        drop(session);
        if problems.is_empty() {
            problems.extend(self.end_problems(root)?);
        }
        Ok(problems)
    }

    /// What is done after the cut.
    fn again(&self, seen: &Menu) -> Result<&'static [&'static str]> {
        let is_new = seen.entries == self.last()?.menu.entries;
        Ok(match self.operation.again {
            Again::IfOld if is_new => &["ostree admin cleanup"],
            _ => self.operation.commands,
        })
    }

    /// Whether the system is the new one after that.
    fn end_problems(&self, root: &Path) -> Result<Vec<Problem>> {
        let menu = Menu::read(&root.join("boot"), &Snapshot::of(root)?);
        let mut problems: Vec<_> = menu.problems.iter().map(|p| flagged(format!("again: {p}"))).collect();
        let wanted = &self.last()?.menu.entries;
        let count = match self.operation.again {
            // A second deployment of the same commit is one more.
            Again::Always => 1,
            Again::IfOld => wanted.len().max(menu.entries.len()),
        };
        let is_same = |index: usize| match (menu.entries.get(index), wanted.get(index)) {
            (Some(is), Some(wanted)) => is.is_same_system(wanted),
            (is, wanted) => is.is_none() && wanted.is_none(),
        };
        if !(0..count).all(is_same) {
            problems.push(flagged(format!("again: the menu is {:?}", menu.entries)));
        }
        Ok(problems)
    }
}

/// The hash of what a boot loader loads.
fn boot_file<'a>((path, item): (&'a String, &'a crate::snapshot::Item)) -> Option<&'a Hash> {
    let name = path.strip_prefix("usr/lib/modules/")?.rsplit('/').next()?;
    match &item.node {
        Node::File(hash) if ["vmlinuz", "initramfs.img"].contains(&name) => Some(hash),
        _ => None,
    }
}

/// The first thing in which a deployment differs from what it was.
fn difference(was: &Snapshot, is: &Snapshot, deployment: &str) -> Option<String> {
    let origin = format!("{deployment}.origin");
    if was.get(&origin) != is.get(&origin) {
        return Some(format!("its origin is {:?}", is.get(&origin)));
    }
    let now: HashMap<&str, _> = is.below(deployment).collect();
    let missing = was.below(deployment).find(|(path, item)| now.get(path) != Some(item));
    if let Some((path, _)) = missing {
        return Some(format!("{path} is {:?}", now.get(path)));
    }
    let then: HashMap<&str, _> = was.below(deployment).collect();
    now.keys().find(|path| !then.contains_key(*path)).map(|path| format!("{path} is new"))
}
