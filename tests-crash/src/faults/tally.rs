// SPDX-License-Identifier: MIT OR Apache-2.0
//! The counts of failures, and how they are told.

use std::collections::BTreeMap;

use super::call::Call;
use super::injection::{Outcome, Subject};
use crate::rules::Fault;

/// The outcomes of the failures of one operation, in numbers.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    name: String,
    /// System calls, in all threads.
    calls: usize,
    /// Of these, calls that are about the disk.
    about_disk: usize,
    /// Of these, calls that are tried: not each turn of a loop.
    tried: usize,
    /// Failures that were injected.
    injected: usize,
    /// Of these, with which the command failed.
    refused: usize,
    /// Calls that were not made the second time.
    not_reached: usize,
    neither: usize,
    flagged: usize,
    /// The first of each kind of problem, and how many there are.
    findings: BTreeMap<String, (usize, String)>,
}

impl Tally {
    /// Nothing was tried yet.
    pub(super) fn new(subject: &Subject) -> Self {
        let count = |of: &dyn Fn(&[Call]) -> usize| subject.calls.iter().map(|calls| of(calls)).sum();
        Self {
            name: subject.operation.name.to_owned(),
            calls: count(&<[Call]>::len),
            about_disk: count(&|calls| calls.iter().filter(|call| !call.failures().is_empty()).count()),
            tried: count(&|calls| super::call::choose(calls).len()),
            ..Self::default()
        }
    }

    /// Counts one.
    pub(super) fn add(&mut self, outcome: &Outcome, describe: impl FnOnce() -> String) {
        self.injected += usize::from(outcome.reached);
        self.not_reached += usize::from(!outcome.reached);
        self.refused += usize::from(outcome.status != 0);
        let Some(first) = outcome.problems.first() else { return };
        if outcome.problems.iter().any(|problem| problem.fault == Fault::Neither) {
            self.neither += 1;
        } else {
            self.flagged += 1;
        }
        let kind: String = first.text.chars().filter(|c| !c.is_ascii_hexdigit()).take(60).collect();
        let text: String = first.text.chars().take(1500).collect();
        let new = || (0, format!("{:?}: {text}\n      {}", first.fault, describe()));
        self.findings.entry(kind).or_insert_with(new).0 += 1;
    }

    /// All of several.
    pub(super) fn sum(tallies: &[Self]) -> Self {
        let mut sum = Self::default();
        for tally in tallies {
            sum.calls += tally.calls;
            sum.about_disk += tally.about_disk;
            sum.tried += tally.tried;
            sum.injected += tally.injected;
            sum.refused += tally.refused;
            sum.not_reached += tally.not_reached;
            sum.neither += tally.neither;
            sum.flagged += tally.flagged;
        }
        sum
    }

    /// Whether nothing was wrong.
    pub(super) fn is_well(&self) -> bool {
        self.neither == 0 && self.flagged == 0 && self.injected > 0
    }

    /// The heads of the columns of [`line`](Self::line).
    pub(super) fn head() -> String {
        format!(
            "{:<20} {:>7} {:>7} {:>7} {:>8} {:>7} {:>7} {:>7} {:>7}",
            "operation", "calls", "on disk", "tried", "failures", "refused", "missed", "neither", "flagged"
        )
    }

    /// A row of the table.
    pub(super) fn line(&self) -> String {
        format!(
            "{:<20} {:>7} {:>7} {:>7} {:>8} {:>7} {:>7} {:>7} {:>7}",
            self.name,
            self.calls,
            self.about_disk,
            self.tried,
            self.injected,
            self.refused,
            self.not_reached,
            self.neither,
            self.flagged
        )
    }

    /// Lists the faults that were found.
    pub(super) fn findings(&self) -> Vec<String> {
        let told = |(count, text): &(usize, String)| format!("  {}: {count} × {text}", self.name);
        self.findings.values().map(told).collect()
    }

    /// The last line.
    pub(super) fn total(&self) -> String {
        format!(
            "{} faults injected at {} of {} calls ({} turns of loops and {} not about the disk left out), {} neither, {} flagged",
            self.injected,
            self.tried,
            self.calls,
            self.about_disk - self.tried,
            self.calls - self.about_disk,
            self.neither,
            self.flagged
        )
    }
}
