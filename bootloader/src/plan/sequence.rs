// SPDX-License-Identifier: MIT OR Apache-2.0
//! The order of a switch. After each of its steps the disk shows the old or the new entries.

use std::collections::BTreeSet;

use durable::fault::Mutant;

use super::steps::{Of, Step};
use super::sweep::{empties_boot_files, previous_steps, removal_steps, update_steps};
use super::switch::{Change, SwitchPlan};
use crate::files::NewFile;
use crate::loader::AfterSwitch;
use crate::names::{LOADER_TEMPORARY, PRESTAGED};

impl SwitchPlan {
    /// All that applying does, in this order: from the proof of the previous switch to the last path that is swept.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = previous_steps(self.prove_previous, self.finish.as_ref(), self.from.boot_version);
        match self.change {
            Change::Nothing => steps.extend(self.removals()),
            Change::Bootlinks => {
                steps.push(Step::SyncDeployments);
                steps.extend(self.make_links());
                steps.push(Step::Verify);
                steps.push(self.choose_links());
                steps.extend(self.removals());
                steps.push(Step::RemoveLinks { path: format!("/ostree/{}", self.from.links_dir()) });
            }
            Change::Entries => steps.extend(self.entries_steps()),
        }
        steps
    }

    fn entries_steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        if self.force_block_format {
            steps.push(Step::ForceBlockFormat);
        }
        let note = Step::Note { of: Of::This, boot_version: self.to.boot_version };
        steps.extend([Step::SyncDeployments, note]);
        steps.extend(self.clear_boot().map(|path| Step::Clear { path }));
        let loader = format!("/boot/{}", self.to.loader_dir());
        steps.extend(directories(&loader, &self.files_below_loader()));
        steps.extend(self.boot_file_steps());
        let below = |file: &NewFile| format!("{loader}/{}", file.path);
        steps.extend(self.entries.iter().chain(&self.native).map(|file| {
            let (path, text) = (below(file), file.text.clone());
            if self.adopt.contains(&file.path) {
                Step::Adopt { from: format!("/boot/{PRESTAGED}/{}", file.path), path, text }
            } else {
                Step::Write { path, text }
            }
        }));
        steps.extend(self.generate.iter().map(|generate| Step::Generate {
            program: generate.program.clone(),
            path: format!("{loader}/{}", generate.path),
            boot_version: self.to.boot_version,
        }));
        steps.extend(self.carry.iter().map(|path| Step::Carry {
            from: format!("/boot/{}/{path}", self.from.loader_dir()),
            path: format!("{loader}/{path}"),
        }));
        steps.extend(self.make_links());
        let target = self.to.loader_dir();
        steps.extend([self.choose_links(), Step::SelfLink, Step::StageLoader { target: target.clone() }]);
        if self.after != AfterSwitch::Nothing {
            steps.push(Step::Stamp);
        }
        steps.extend([Step::Verify, Step::Settle, Step::Commit { target }, Step::Prove]);
        if self.after != AfterSwitch::Nothing {
            steps.extend(update_steps(Of::This, &self.after));
        }
        if self.prestaged {
            steps.push(Step::Forget { path: format!("/boot/{PRESTAGED}") });
        }
        steps.extend(self.removals());
        with_mutants(steps)
    }

    /// The part that is done ahead of the switch, while there is somebody who reads why it is refused: boot files, and entries where
    /// no loader reads them. A file that a program writes from the entries is left to the switch.
    pub fn prestage_steps(&self) -> Vec<Step> {
        let mut steps = previous_steps(self.prove_previous, self.finish.as_ref(), self.from.boot_version);
        let ahead = format!("/boot/{PRESTAGED}");
        if self.prestaged {
            steps.push(Step::Clear { path: ahead.clone() });
        }
        if self.change != Change::Entries {
            return steps;
        }
        if self.force_block_format {
            steps.push(Step::ForceBlockFormat);
        }
        let slot = self.clear_boot().filter(|path| !path.starts_with(&ahead));
        steps.extend(slot.map(|path| Step::Clear { path }));
        steps.extend(self.boot_file_steps());
        let files: Vec<&NewFile> = self.entries.iter().chain(&self.native).collect();
        let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        steps.extend(directories(&ahead, &paths));
        steps.extend(
            files
                .iter()
                .map(|file| Step::Write { path: format!("{ahead}/{}", file.path), text: file.text.clone() }),
        );
        steps.push(Step::VerifyPrestaged);
        steps
    }

    /// The same switch once [`prestage_steps`](Self::prestage_steps) are done.
    pub fn once_prestaged(&self) -> Self {
        let mut plan = self.clone();
        if plan.change != Change::Entries {
            return plan;
        }
        let files = plan.entries.iter().chain(&plan.native);
        plan.adopt = files.map(|file| file.path.clone()).collect();
        plan.prestaged = true;
        plan.finish = None;
        plan.force_block_format = false;
        plan.copy.clear();
        plan.boot_directories.clear();
        plan.clear.retain(|path| path.starts_with("/ostree/"));
        plan
    }

    /// Names that are in the way in `/boot`.
    fn clear_boot(&self) -> impl Iterator<Item = String> + '_ {
        self.clear.iter().filter(|path| path.starts_with("/boot/")).cloned()
    }

    fn boot_file_steps(&self) -> impl Iterator<Item = Step> + '_ {
        let directories = self.boot_directories.iter().map(|path| Step::MakeDirectory { path: path.clone() });
        directories.chain(self.copy.iter().cloned().map(Step::Copy))
    }

    fn files_below_loader(&self) -> Vec<&str> {
        let files = self.entries.iter().chain(&self.native).map(|file| file.path.as_str());
        let generated = self.generate.iter().map(|generate| generate.path.as_str());
        // The directory of entries is there even if there are none.
        files.chain(generated).chain(self.carry.iter().map(String::as_str)).chain(["entries/"]).collect()
    }

    fn make_links(&self) -> Vec<Step> {
        let top = format!("/ostree/{}", self.to.links_dir());
        let clear = self.clear.iter().filter(|path| path.starts_with("/ostree/"));
        let mut steps: Vec<Step> = clear.map(|path| Step::Clear { path: path.clone() }).collect();
        let paths: Vec<&str> = self.links.iter().map(|link| link.path.as_str()).collect();
        steps.extend(directories(&top, &paths));
        steps.extend(
            self.links
                .iter()
                .map(|link| Step::Link { path: format!("{top}/{}", link.path), target: link.target.clone() }),
        );
        steps
    }

    fn choose_links(&self) -> Step {
        Step::ChooseLinks { path: format!("/ostree/{}", self.to.link()), target: self.to.links_dir() }
    }

    fn removals(&self) -> Vec<Step> {
        let mut steps = removal_steps(self.note, &self.sweep, &self.stale_temps);
        if self.change != Change::Entries && self.force_block_format && empties_boot_files(&self.sweep) {
            steps.insert(usize::from(self.note), Step::ForceBlockFormat);
        }
        steps
    }
}

/// A new directory, and the directories in it that lead to these paths.
fn directories(top: &str, paths: &[&str]) -> Vec<Step> {
    let below: BTreeSet<&str> =
        paths.iter().flat_map(|path| path.match_indices('/').filter_map(|(at, _)| path.get(..at))).collect();
    let below = below.into_iter().map(|dir| format!("{top}/{dir}"));
    std::iter::once(top.to_owned()).chain(below).map(|path| Step::MakeDirectory { path }).collect()
}

/// The mistakes that the tests of power cuts make on purpose.
fn with_mutants(mut steps: Vec<Step>) -> Vec<Step> {
    let take = |steps: &mut Vec<Step>, is_one: &dyn Fn(&Step) -> bool| {
        let (taken, rest) = std::mem::take(steps).into_iter().partition(is_one);
        *steps = rest;
        taken
    };
    let is_staged = |step: &Step| matches!(step, Step::StageLoader { .. } | Step::Commit { .. });
    if Mutant::CommitBeforeStage.is_on() {
        let early: Vec<Step> = take(&mut steps, &is_staged);
        let made = steps.iter().rposition(|step| step.point() == "clear-slot").unwrap_or(0);
        steps.splice(made + 1..made + 1, early);
    }
    if Mutant::LoaderBeforeLinks.is_on() {
        // It would be seen.
        steps.retain(|step| *step != Step::Verify);
        let early: Vec<Step> = take(&mut steps, &|step| is_staged(step) || *step == Step::Settle);
        let links = steps.iter().position(|step| step.point() == "clear-links").unwrap_or(0);
        steps.splice(links..links, early);
    }
    if Mutant::SweepBeforeProve.is_on() {
        let is_swept = |step: &Step| matches!(step, Step::RemoveNote | Step::Sweep { .. });
        let early: Vec<Step> = take(&mut steps, &is_swept);
        let prove = steps.iter().position(|step| *step == Step::Prove).unwrap_or(steps.len());
        steps.splice(prove..prove, early);
    }
    steps
}

/// The paths in the way of a new set: what an earlier or an interrupted switch has left in its place.
pub(super) fn in_the_way(
    plan: &SwitchPlan,
    loader_names: &[String],
    bootlink_names: &[String],
) -> Vec<String> {
    let boot = [LOADER_TEMPORARY.to_owned(), plan.to.loader_dir()];
    let boot = boot.into_iter().filter(|name| plan.change == Change::Entries && loader_names.contains(name));
    let mut paths: Vec<String> = boot.map(|name| format!("/boot/{name}")).collect();
    let links = plan.to.links_dir();
    if plan.change != Change::Nothing && bootlink_names.contains(&links) {
        paths.push(format!("/ostree/{links}"));
    }
    paths
}
