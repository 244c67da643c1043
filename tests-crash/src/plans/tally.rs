// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which change falls under which step: in the order of the steps, each change under one.

use std::collections::BTreeSet;
use std::fmt;

use super::change::Change;
use super::step::Step;

/// A difference between a plan and what happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Finding {
    /// A change that no step announces.
    Uncovered(String),
    /// A change that a step announces, but not at this place among the others.
    OutOfOrder(String),
    /// A change that two steps announce at this place.
    Twice(String),
    /// A step under which nothing happened.
    Idle(String),
    /// A change that was made when the plan was printed.
    WhilePlanning(String),
    /// A step that could be left out of what is printed without being missed.
    NotMissed(String),
}

impl Finding {
    /// The path that it is about, behind the name of a step or a call.
    pub fn subject(&self) -> &str {
        match self {
            Self::Uncovered(text)
            | Self::OutOfOrder(text)
            | Self::Twice(text)
            | Self::Idle(text)
            | Self::WhilePlanning(text)
            | Self::NotMissed(text) => text,
        }
    }

    /// Its kind in a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Uncovered(_) => "uncovered",
            Self::OutOfOrder(_) => "out of order",
            Self::Twice(_) => "twice",
            Self::Idle(_) => "idle step",
            Self::WhilePlanning(_) => "while planning",
            Self::NotMissed(_) => "not missed",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind(), self.subject())
    }
}

/// The step of each change, by its place in the plan; `None` where there is no such step, or not at this place.
pub fn assign(steps: &[Step], changes: &[Change]) -> Vec<Option<usize>> {
    // The longest row of changes whose steps follow each other: best[at] is the length of the longest one that ends with a step
    // at `at` or before.
    let mut best = vec![0_usize; steps.len()];
    let mut chosen: Vec<Vec<Option<usize>>> = Vec::with_capacity(changes.len());
    for change in changes {
        let candidates = candidates(steps, change);
        let mut before = (0, None);
        let mut row = vec![None; steps.len()];
        let mut next = best.clone();
        for at in 0..steps.len() {
            let length = best.get(at).copied().unwrap_or_default();
            if length > before.0 || before.1.is_none() {
                before = (length, Some(at));
            }
            if candidates.contains(&at)
                && let Some(place) = next.get_mut(at)
                && before.0 + 1 > *place
            {
                *place = before.0 + 1;
                if let Some(row) = row.get_mut(at) {
                    *row = before.1;
                }
            }
        }
        best = next;
        chosen.push(row);
    }
    // Back from the end of the longest row, preferring the first step that ends it.
    let mut at = (0..steps.len()).rev().max_by_key(|at| best.get(*at).copied());
    let mut assigned = vec![None; changes.len()];
    for (index, row) in chosen.iter().enumerate().rev() {
        let Some(now) = at else { break };
        if let Some(Some(before)) = row.get(now) {
            if let Some(place) = assigned.get_mut(index) {
                *place = Some(now);
            }
            at = Some(*before);
        }
    }
    assigned
}

/// How closely a change is announced at best.
fn closest(steps: &[Step], change: &Change) -> Option<usize> {
    steps.iter().filter_map(|step| step.announces(change)).max()
}

/// The steps that announce a change most closely.
fn candidates(steps: &[Step], change: &Change) -> BTreeSet<usize> {
    let Some(closest) = closest(steps, change) else { return BTreeSet::new() };
    let announce = steps.iter().enumerate().filter(|(_, step)| step.announces(change) == Some(closest));
    announce.map(|(at, _)| at).collect()
}

/// Compares a plan with what happened.
pub fn compare(steps: &[Step], changes: &[Change]) -> Vec<Finding> {
    let assigned = assign(steps, changes);
    let mut findings = Vec::new();
    for (index, (change, step)) in changes.iter().zip(&assigned).enumerate() {
        let candidates = candidates(steps, change);
        match step {
            Some(step) => {
                let before = assigned.get(..index).unwrap_or_default().iter().rev().find_map(|at| *at);
                let after = assigned.get(index + 1..).unwrap_or_default().iter().find_map(|at| *at);
                let between = before.unwrap_or(0)..=after.unwrap_or(steps.len());
                let kinds = |at: &usize| steps.get(*at).map(|step| step.kind.as_str());
                let is_other = |at: &&usize| *at != step && between.contains(*at);
                // A merge works in the directory that a copy has just made.
                let other = candidates.iter().filter(is_other).find(|at| {
                    [kinds(at), kinds(step)] != [Some("merge-etc"), Some("copy-etc")]
                        && [kinds(at), kinds(step)] != [Some("copy-etc"), Some("merge-etc")]
                });
                // Setting a time, which a step does besides, has no path of its own.
                if other.is_some() && closest(steps, change) > Some(0) {
                    findings.push(Finding::Twice(change.to_string()));
                }
            }
            None if candidates.is_empty() => findings.push(Finding::Uncovered(change.to_string())),
            None => findings.push(Finding::OutOfOrder(change.to_string())),
        }
    }
    for (at, step) in steps.iter().enumerate() {
        if !assigned.contains(&Some(at)) && !step.is_conditional() {
            findings.push(Finding::Idle(step.to_string()));
        }
    }
    findings
}

/// Leaves each step out in turn under which something happened: how many there are, and those that nothing misses.
pub fn leave_out(steps: &[Step], changes: &[Change]) -> (usize, Vec<Finding>) {
    let assigned = assign(steps, changes);
    let usual = compare(steps, changes);
    let (mut tried, mut found) = (0, Vec::new());
    for (at, step) in steps.iter().enumerate().filter(|(at, _)| assigned.contains(&Some(*at))) {
        let mut fewer = steps.to_vec();
        fewer.remove(at);
        tried += 1;
        if compare(&fewer, changes).iter().all(|finding| usual.contains(finding)) {
            found.push(Finding::NotMissed(step.to_string()));
        }
    }
    (tried, found)
}

#[cfg(test)]
mod tests {
    use super::super::step;
    use super::super::{change, syntax};
    use super::*;

    fn steps(text: &str) -> Vec<Step> {
        step::read(&format!("{{\"steps\": [{text}]}}")).unwrap().steps
    }

    fn changes(text: &str) -> Vec<Change> {
        let lines: String = text.lines().map(|line| format!("1 {}\n", line.trim())).collect();
        change::changes(&syntax::parse(&lines), "/")
    }

    fn compared(given: &str, happened: &str) -> Vec<String> {
        compare(&steps(given), &changes(happened)).iter().map(Finding::to_string).collect()
    }

    const WRITTEN: &str = r#"mkdir("/a", 0755) = 0
        openat(AT_FDCWD</>, "/a/f", O_WRONLY|O_CREAT, 0644) = 3</a/f>
        unlink("/b") = 0"#;
    const MAKE: &str = r#"{"step": "make-directory", "path": "/a"}"#;
    const WRITE: &str = r#"{"step": "write", "path": "/a/f"}"#;
    const REMOVE: &str = r#"{"step": "remove", "path": "/b"}"#;

    #[test]
    fn a_plan_that_is_what_happens() {
        assert_eq!(compared(&[MAKE, WRITE, REMOVE].join(","), WRITTEN), [""; 0]);
    }

    #[test]
    fn a_step_that_is_left_out() {
        assert_eq!(compared(&[WRITE, REMOVE].join(","), WRITTEN), ["uncovered: Make /a (mkdir)"]);
        // A directory announces itself alone.
        assert_eq!(compared(&[MAKE, REMOVE].join(","), WRITTEN), ["uncovered: Make /a/f (openat)"]);
        assert_eq!(compared(&[MAKE, WRITE].join(","), WRITTEN), ["uncovered: Remove /b (unlink)"]);
    }

    #[test]
    fn a_step_at_another_place() {
        assert_eq!(
            compared(&[REMOVE, MAKE, WRITE].join(","), WRITTEN),
            ["out of order: Remove /b (unlink)", "idle step: remove /b"]
        );
    }

    #[test]
    fn a_step_too_many() {
        let found = compared(&[MAKE, WRITE, REMOVE, REMOVE].join(","), WRITTEN);
        assert_eq!(found, ["twice: Remove /b (unlink)", "idle step: remove /b"]);
        // One that says so may find nothing to do.
        let prune = r#"{"step": "prune"}"#;
        assert_eq!(compared(&[MAKE, WRITE, REMOVE, prune].join(","), WRITTEN), [""; 0]);
    }

    #[test]
    fn the_closest_step_counts() {
        let tree = r#"{"step": "check-out", "commit": "c", "to": "/a"}"#;
        assert_eq!(compared(&[tree, WRITE, REMOVE].join(","), WRITTEN), [""; 0]);
        let etc = r#"mkdir("/a/etc", 0755) = 0"#;
        assert_eq!(compared(tree, etc), ["uncovered: Make /a/etc (mkdir)", "idle step: check-out /a"]);
    }

    #[test]
    fn a_program_has_a_step_of_its_own() {
        let happened = r#"execve("/run/kit/ostree", [], 0x1) = 0
            vfork() = 2"#;
        let mut changes = changes(happened);
        let program = Some("/usr/bin/tool".to_owned());
        let path = "/x".to_owned();
        changes.push(Change { call: "mkdir".to_owned(), effect: change::Effect::Make, path, program });
        let run = r#"{"step": "run", "command": "tool -o /x"}"#;
        assert_eq!(compare(&steps(run), &changes), []);
        let write = r#"{"step": "write", "path": "/x"}"#;
        assert_eq!(compare(&steps(write), &changes).len(), 2);
    }
}
