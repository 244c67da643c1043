// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rules for the files of a system when an operation was disturbed, by whatever: each entry is whole, and the same
//! command again ends as it should.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::kit::{Kit, Programs};
use crate::menu::{Menu, MenuEntry};
use crate::operation::{Again, KEPT, Operation, STAGE, TAKE_UP};
use crate::reference::Reference;
use crate::snapshot::{Hash, Node, Snapshot};

/// The severity of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// A boot loader finds neither the old menu nor the new one, or an entry that cannot be booted.
    Neither,
    /// It boots, and something else is broken: the repository, or the way on.
    Flagged,
    /// The kernel cannot mount it. No order of a program's writes leads to that: the file system did not get over what
    /// the disk did.
    Unmountable,
}

/// A finding of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub fault: Fault,
    /// The finding, for a person.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

pub(crate) fn neither(text: String) -> Problem {
    Problem { fault: Fault::Neither, text }
}

pub(crate) fn flagged(text: String) -> Problem {
    Problem { fault: Fault::Flagged, text }
}

/// The rules for one operation.
pub(crate) struct Rules<'a> {
    /// The states before the operation, and after each of its commands.
    pub(crate) references: &'a [Reference],
    pub(crate) operation: &'a Operation,
    pub(crate) programs: &'a Programs,
    pub(crate) kit: &'a Kit,
}

impl Rules<'_> {
    fn last(&self) -> Result<&Reference> {
        self.references.last().context("Nothing was recorded")
    }

    /// Whether this menu was there at some moment, and each entry is whole.
    pub(crate) fn menu_problems(&self, menu: &Menu, root: &Snapshot) -> Vec<Problem> {
        let references = self.references;
        let was_empty = references.first().is_some_and(|before| before.menu.entries.is_empty());
        if menu.entries.is_empty() && was_empty {
            return Vec::new();
        }
        let mut problems: Vec<_> = menu.problems.iter().map(|problem| neither(problem.clone())).collect();
        if problems.is_empty() && !references.iter().any(|reference| self.is_same(menu, &reference.menu)) {
            problems.push(neither(format!("this menu never was: {menu:?}")));
        }
        for entry in menu.entries.iter().filter(|entry| !self.was_broken(entry)) {
            problems.extend(self.entry_problems(entry, root).into_iter().map(neither));
        }
        problems
    }

    /// Whether a menu is one that was there with deployments besides that were there before.
    pub(crate) fn has_kept_more(&self, menu: &Menu) -> bool {
        let entries = || self.references.iter().flat_map(|reference| &reference.menu.entries);
        let was_there = |entry: &MenuEntry| entries().any(|known| known.deployment == entry.deployment);
        menu.problems.is_empty()
            && menu.entries.iter().all(was_there)
            && self.references.iter().any(|reference| {
                let mut rest = menu.entries.iter();
                reference
                    .menu
                    .entries
                    .iter()
                    .all(|wanted| rest.any(|entry| entry.deployment == wanted.deployment))
            })
    }

    /// Whether two menus are the same, but for the files of an entry that the operation is to repair.
    fn is_same(&self, menu: &Menu, other: &Menu) -> bool {
        let is_same = |(one, other): (&MenuEntry, &MenuEntry)| {
            one == other || one.arguments == other.arguments && self.was_broken(one)
        };
        menu.entries.len() == other.entries.len() && menu.entries.iter().zip(&other.entries).all(is_same)
    }

    /// Whether it is this entry that the operation is to repair.
    fn was_broken(&self, entry: &MenuEntry) -> bool {
        let Some(before) = self.references.first().filter(|_| self.operation.repairs) else { return false };
        let mut entries = before.menu.entries.iter().filter(|old| old.deployment == entry.deployment);
        entries.any(|old| self.entry_problems(old, &before.snapshot).is_some())
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
        let is_it = |entry: &MenuEntry| entry.deployment.as_deref() == Some(deployment);
        let listed = self.references.iter().filter(|reference| reference.menu.entries.iter().any(is_it));
        let moments: Vec<&Snapshot> = listed.map(|reference| &reference.snapshot).collect();
        if self.operation.by_file {
            return of_no_moment(&moments, root, deployment)
                .map(|path| format!("{path} never was like this"));
        }
        let mut reasons = Vec::new();
        for moment in moments {
            match difference(moment, root, deployment) {
                None => return None,
                Some(difference) => reasons.push(difference),
            }
        }
        Some(format!("{deployment}: {}", reasons.pop().unwrap_or_else(|| "was never in the menu".to_owned())))
    }

    /// Whether the program of the initramfs finds the deployment of each entry.
    pub(crate) fn plan_problems(&self, menu: &Menu, root: &Path) -> Result<Vec<Problem>> {
        let mut problems = Vec::new();
        for entry in &menu.entries {
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
        Ok(problems)
    }

    /// Returns the commands to run after the cut, which has left this.
    pub(crate) fn again(&self, left: &Menu, root: &Snapshot) -> Result<&'static [&'static str]> {
        let is_new = left.entries == self.last()?.menu.entries;
        Ok(match self.operation.again {
            Again::IfOld if is_new => &["ostree admin cleanup"],
            Again::TakeUp if self.is_taken_up(root) => TAKE_UP,
            Again::TakeUp => STAGE,
            _ => self.operation.commands,
        })
    }

    /// Whether an update that was not finished is left to the units.
    pub(crate) fn is_taken_up(&self, root: &Snapshot) -> bool {
        // Which half of the cases it is depends on nothing but what was left.
        let half = || root.digest().first().is_some_and(|byte| byte % 2 == 0);
        self.operation.again == Again::TakeUp && root.get(KEPT).is_some() && half()
    }

    /// Whether the system is the new one after that.
    pub(crate) fn end_problems(&self, root: &Path) -> Result<Vec<Problem>> {
        let menu = Menu::read(&root.join("boot"), &Snapshot::of(root)?);
        let mut problems: Vec<_> = menu.problems.iter().map(|p| flagged(format!("again: {p}"))).collect();
        let wanted = &self.last()?.menu.entries;
        let count = match self.operation.again {
            // A second deployment of the same commit is one more.
            Again::Always | Again::TakeUp => 1,
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

/// A file that is being carried into the `/etc` of a deployment, until it gets its name.
const UNFINISHED: &str = "/.#ostree-etc-merge";

/// The first file of a deployment that was not at any of some moments what it is now.
fn of_no_moment(moments: &[&Snapshot], is: &Snapshot, deployment: &str) -> Option<String> {
    let paths = moments.iter().flat_map(|moment| moment.below(deployment)).chain(is.below(deployment));
    let mut paths = paths.map(|(path, _)| format!("{deployment}/{path}"));
    paths.find(|path| {
        !path.ends_with(UNFINISHED) && moments.iter().all(|moment| moment.get(path) != is.get(path))
    })
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
