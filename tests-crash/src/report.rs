// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is told: a line a row, what was wrong, and the sum.

use crate::kit::Side;
use crate::row::Recorded;
use crate::schedule::Place;

/// How far a row has come.
fn coverage(rounds: usize) -> &'static str {
    match rounds {
        0 => "a part of the prefixes",
        1 => "all prefixes, 2 samples an epoch",
        2 => "all prefixes, 10 samples an epoch, windows",
        _ => "all prefixes, 18 samples an epoch or more, windows",
    }
}

/// A row of the table.
pub(crate) fn line(place: &Place) -> String {
    match place {
        Place::Waiting(row) => format!("{:<34} not reached", row.to_string()),
        Place::Failed(row, error) => format!("{:<34} FAILED: {error}", row.to_string()),
        Place::Ready(recorded, rounds) => {
            let (writes, epochs) = recorded.size();
            let tally = &recorded.tally;
            format!(
                "{:<34} {writes:>5} {epochs:>4} {:>7} {:>7} {:>7} {:>5} {:>5} {:>7.1} {:>5.1}  {}",
                recorded.row.to_string(),
                tally.states,
                tally.neither,
                tally.flagged,
                tally.unmountable,
                tally.runs,
                tally.time.as_secs_f64(),
                tally.states as f64 / tally.time.as_secs_f64().max(0.001),
                coverage(*rounds),
            )
        }
    }
}

/// The heads of the columns of [`line`].
pub(crate) fn head() -> String {
    let row = "operation, root[+/boot]";
    format!(
        "{row:<34} {:>5} {:>4} {:>7} {:>7} {:>7} {:>5} {:>5} {:>7} {:>5}  coverage",
        "writes", "cuts", "states", "neither", "flagged", "no fs", "trees", "seconds", "per s"
    )
}

/// What was wrong with the states of a row, a kind a line.
pub(crate) fn findings(recorded: &Recorded) -> Vec<String> {
    let mut lines = Vec::new();
    for (count, finding) in recorded.tally.findings.values() {
        for problem in finding.problems.iter().take(2) {
            let text: String = problem.text.chars().take(1500).collect();
            lines.push(format!("  {count} × {:?}: {text}", problem.fault));
        }
        lines.push(format!("      {}", finding.place));
    }
    lines
}

/// The sums of one side: states, neither, flagged.
pub(crate) fn sums(places: &[Place], side: Side) -> [usize; 3] {
    let mut sums = [0; 3];
    for place in places {
        if let Place::Ready(recorded, _) = place
            && recorded.row.side == side
        {
            let tally = &recorded.tally;
            for (sum, count) in sums.iter_mut().zip([tally.states, tally.neither, tally.flagged]) {
                *sum += count;
            }
        }
    }
    sums
}
