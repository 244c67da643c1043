// SPDX-License-Identifier: MIT OR Apache-2.0
//! Old or new, never neither: what must hold of a disk, whenever the power went.
//!
//! 1. `/boot`, read without replay as GRUB does, shows a menu that was whole at some moment of the operation: every file
//!    that an entry names is there with its contents.
//! 2. After replay each of those entries, and each that is there then, leads to a deployment that is complete: its tree is
//!    that of its commit, `/etc` and origin are there; `ostree-prepare-root --plan` finds it.
//! 3. The repository is whole, and what was interrupted can be done again, after a reboot, and ends as it should. Debian's
//!    programs, which look at a sample, find the same.
//!
//! Nothing is healed before it is looked at. What only depends on the files after replay is remembered by the hash of all
//! of them: most states of the disk differ in their journal alone.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::disk::Attached;
use crate::grub::Grub;
use crate::kit::{Kit, Programs, Side};
use crate::menu::{Menu, MenuEntry};
use crate::operation::Operation;
use crate::record::Recording;
use crate::rules::{Fault, Problem, Rules, flagged, neither};
use crate::session::Session;
use crate::snapshot::{Hash, Snapshot};

/// Checks the states of one recording.
pub struct Checker<'a> {
    recording: &'a Recording,
    rules: Rules<'a>,
    attached: Attached,
    image: PathBuf,
    directory: PathBuf,
    known: &'a mut Known,
}

/// One in so many trees is shown to Debian's programs as well.
const PEER: usize = 8;

/// The answers of programs about the trees of one recording.
#[derive(Debug, Default)]
pub struct Known {
    /// By the digest of all files and the default that was booted.
    answers: HashMap<(Hash, Option<MenuEntry>), Vec<Problem>>,
    /// How many of them Debian's programs have seen.
    peer: usize,
    /// Whether they are to see any.
    with_peer: bool,
}

impl Known {
    /// Nothing yet.
    pub fn for_side(side: Side) -> Self {
        Self { with_peer: side == Side::Ours, ..Self::default() }
    }
}

impl<'a> Checker<'a> {
    /// For states that are made at `image`; works in `directory`.
    pub fn new(
        recording: &'a Recording,
        operation: &'a Operation,
        programs: &'a Programs,
        kit: &'a Kit,
        known: &'a mut Known,
        image: &Path,
        directory: &Path,
    ) -> Result<Self> {
        for name in ["root", "grub"] {
            std::fs::create_dir_all(directory.join(name))?;
        }
        Ok(Self {
            recording,
            rules: Rules { references: &recording.references, operation, programs, kit },
            attached: Attached::new(recording.layout, image)?,
            image: image.to_owned(),
            directory: directory.to_owned(),
            known,
        })
    }

    /// How many trees programs have seen, ours and Debian's.
    pub fn runs(&self) -> (usize, usize) {
        (self.known.answers.len(), self.known.peer)
    }

    /// Looks at the state that the image has now. An error is a failure of the test itself. Afterwards nothing has the image
    /// open, so that it can be made anew.
    pub fn check(&mut self) -> Result<Vec<Problem>> {
        let found = self.look();
        self.attached.forget()?;
        found
    }

    fn look(&mut self) -> Result<Vec<Problem>> {
        let mut problems = Vec::new();
        // The loader comes first: mounting with replay changes the image.
        let grub = match Grub::mount(self.recording.layout, &self.image, &self.directory.join("grub")) {
            Ok(grub) => grub,
            Err(error) => return Ok(vec![neither(format!("{error:#}"))]),
        };
        // Links are followed below, in the root after replay.
        let loader = self.recording.layout.loader;
        let mut seen = Menu::visible(&grub.boot, loader);
        drop(grub);
        let mounted = match self.attached.mount(&self.directory.join("root")) {
            Ok(mounted) => mounted,
            Err(error) => {
                return Ok(vec![Problem { fault: Fault::Unmountable, text: format!("{error:#}") }]);
            }
        };
        let root = mounted.root.clone();
        let snapshot = Snapshot::of(&root)?;
        seen.follow(&snapshot);
        let replayed = Menu::read(&root.join("boot"), &snapshot);
        let mut loaded = Menu::visible(&root.join("boot"), loader);
        loaded.follow(&snapshot);
        let menus =
            [(&seen, "a boot loader"), (&loaded, "a boot loader after replay"), (&replayed, "after replay")];
        for (menu, who) in menus {
            problems.extend(self.rules.menu_problems(menu, &snapshot).into_iter().map(|mut problem| {
                problem.text = format!("{who}: {}", problem.text);
                problem
            }));
        }
        if problems.is_empty() {
            // A system knows its entries by the root after replay, whichever of them it was booted from.
            let key = (snapshot.digest(), seen.entries.first().cloned());
            let found = match self.known.answers.get(&key) {
                Some(found) => found.clone(),
                None => {
                    let mut found = Vec::new();
                    if self.known.with_peer && self.known.answers.len().is_multiple_of(PEER) {
                        found.extend(self.run_peer(&replayed, &root)?);
                        self.known.peer += 1;
                    }
                    found.extend(self.run_programs(&seen, (&replayed, &snapshot), &root)?);
                    self.known.answers.insert(key, found.clone());
                    found
                }
            };
            problems.extend(found);
        }
        mounted.unmount()?;
        Ok(problems)
    }

    /// Whether Debian's programs find the same default, and a repository that is whole.
    fn run_peer(&self, replayed: &Menu, root: &Path) -> Result<Vec<Problem>> {
        let mut problems = Vec::new();
        let mut session = Session::start(self.rules.kit, root, None, &self.directory.join("out"))?;
        let default = replayed.entries.first().and_then(MenuEntry::commit).unwrap_or_default();
        for (line, told) in [("peer admin status", default), ("peer --repo=$REPO fsck -q", "")] {
            let done = session.run(line)?;
            if done.status != 0 || !done.said.contains(told) {
                problems.push(flagged(format!("{line}: exit status {}: {}", done.status, done.said)));
            }
        }
        Ok(problems)
    }

    /// Checks the part that only programs can tell.
    fn run_programs(
        &self,
        seen: &Menu,
        (replayed, snapshot): (&Menu, &Snapshot),
        root: &Path,
    ) -> Result<Vec<Problem>> {
        let mut problems = self.rules.plan_problems(seen, root)?;
        let out = self.directory.join("out");
        // Later than a second after anything was written: see `Session::boot`.
        let booted = seen.entries.first().filter(|_| self.rules.operation.booted);
        let mut session = Session::start(self.rules.kit, root, booted, &out)?;
        let mut lines = vec!["ostree --repo=$REPO fsck -q"];
        lines.extend(self.rules.again(replayed, snapshot)?);
        lines.push(self.rules.operation.finally);
        for line in lines {
            let done = session.run(line)?;
            if done.status != 0 && !done.asks_for_reboot() {
                problems.push(flagged(format!("{line}: exit status {}: {}", done.status, done.said)));
            }
        }
        drop(session);
        if problems.is_empty() {
            problems.extend(self.rules.end_problems(root)?);
        }
        Ok(problems)
    }
}
