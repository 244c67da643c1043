// SPDX-License-Identifier: MIT OR Apache-2.0
//! The report: a line a row, the faults, and the sum.

use std::time::Duration;

use crate::kit::Side;
use crate::place::Place;
use crate::row::Recorded;

/// A row of the table.
pub(crate) fn line(place: &Place) -> String {
    match place {
        Place::Waiting(row) => format!("{:<34} not reached", row.to_string()),
        Place::Failed(row, error) => format!("{:<34} FAILED: {error}", row.to_string()),
        Place::Ready(recorded) => {
            let (writes, epochs) = recorded.size();
            let tally = &recorded.tally;
            format!(
                "{:<34} {writes:>5} {epochs:>4} {:>7} {:>7} {:>7} {:>5} {:>5} {:>4} {:>7.1} {:>5.1}  {}",
                recorded.row.to_string(),
                tally.states,
                tally.neither,
                tally.flagged,
                tally.unmountable,
                tally.runs,
                tally.peer,
                tally.time.as_secs_f64(),
                tally.states as f64 / tally.time.as_secs_f64().max(0.001),
                recorded.position.coverage(),
            )
        }
    }
}

/// The heads of the columns of [`line`].
pub(crate) fn head() -> String {
    let row = "operation, root[+/boot]";
    format!(
        "{row:<34} {:>5} {:>4} {:>7} {:>7} {:>7} {:>5} {:>5} {:>4} {:>7} {:>5}  coverage",
        "writes", "cuts", "states", "neither", "flagged", "no fs", "trees", "peer", "seconds", "per s"
    )
}

/// Lists the faults of the states of a row, a kind a line.
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

/// How far all of it has come, while it runs.
pub(crate) fn progress(places: &[&Place], elapsed: Duration) -> String {
    let recorded: Vec<&Recorded> = places.iter().filter_map(|place| place.recorded()).collect();
    let states: usize = recorded.iter().map(|row| row.tally.states).sum();
    let findings: usize = recorded.iter().map(|row| row.tally.findings.len()).sum();
    let seconds = elapsed.as_secs_f64();
    format!(
        "{:.0} s: {states} states, {:.1} a second, {} of {} rows, {findings} kinds of findings",
        seconds,
        states as f64 / seconds.max(1.0),
        recorded.len(),
        places.len()
    )
}

/// The sums of one side: states, neither, flagged.
pub(crate) fn sums(places: &[Place], side: Side) -> [usize; 3] {
    let mut sums = [0; 3];
    for place in places {
        if let Place::Ready(recorded) = place
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
