// SPDX-License-Identifier: MIT OR Apache-2.0
//! One operation: each of its commands planned, and then run under `strace`.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::change::{self, Change, TRACED};
use super::step::{self, Step};
use super::tally::{self, Finding};
use super::view::View;
use super::{exceptions, syntax};
use crate::faults::stand::{Stand, System};
use crate::kit::Kit;
use crate::machine::Machine;
use crate::operation::Operation;
use crate::session::Done;

/// Where a session puts what `strace` writes.
const TRACE: &str = "/run/out/trace";

/// A command that is prepared so that its plan is known before: a dry run pulls nothing.
struct Pulled {
    operation: &'static str,
    /// Run before it, and not looked at.
    before: &'static [&'static str],
    /// Run in place of its commands.
    commands: &'static [&'static str],
}

const PULLED: [Pulled; 2] = [
    Pulled {
        operation: "upgrade",
        before: &[],
        commands: &["ostree admin upgrade --pull-only", "ostree admin upgrade"],
    },
    Pulled {
        operation: "switch",
        before: &["ostree --repo=$REPO pull r two"],
        commands: &["ostree admin switch r:two"],
    },
];

/// A command that was planned and run.
pub(super) struct Traced {
    pub(super) line: &'static str,
    pub(super) steps: Vec<Step>,
    pub(super) changes: Vec<Change>,
    pub(super) findings: Vec<Finding>,
    /// How many steps were left out of the plan, each in turn.
    pub(super) left_out: usize,
}

/// Plans and runs each command of an operation.
pub(super) fn trace(
    operation: &'static Operation,
    machine: &Machine,
    kit: &Kit,
    stand: &Stand,
) -> Result<Vec<Traced>> {
    // By the clocks, a deployment of this second would count as made since the start.
    std::thread::sleep(Duration::from_millis(1100));
    let mut system = stand.start(machine, kit, operation.booted)?;
    let entry = system.menu()?.1.entries.first().and_then(|entry| entry.deployment.clone());
    let view = View {
        root: system.root.display().to_string(),
        new: system.out("new").display().to_string(),
        deployment: entry.filter(|_| operation.booted),
    };
    let mut all = Vec::new();
    let mut at_shutdown = Vec::new();
    let pulled = PULLED.iter().find(|pulled| pulled.operation == operation.name);
    for line in pulled.map_or(&[][..], |pulled| pulled.before) {
        let done = system.session()?.run(line)?;
        ensure!(done.status == 0, "{line}: exit status {}: {}", done.status, done.said);
    }
    for line in pulled.map_or(operation.commands, |pulled| pulled.commands) {
        let (done, planning) = observe(&mut system, &view, &format!("{line} --dry-run --json"))?;
        let plan = Some(&done).filter(|done| done.status == 0).and_then(|done| step::read(&done.said));
        let steps = match plan {
            Some(plan) => {
                at_shutdown = plan.at_shutdown;
                plan.steps
            }
            None if line.ends_with(" finalize-staged") => std::mem::take(&mut at_shutdown),
            None => Vec::new(),
        };
        let (done, mut changes) = observe(&mut system, &view, line)?;
        ensure!(done.status == 0, "{line}: exit status {}: {}", done.status, done.said);
        changes.retain(|change| !exceptions::is_exception(change));
        let mut findings = tally::compare(&steps, &changes);
        findings.extend(planning.iter().map(|change| Finding::WhilePlanning(change.to_string())));
        let (left_out, not_missed) = tally::leave_out(&steps, &changes);
        findings.extend(not_missed);
        all.push(Traced { left_out, line, steps, changes, findings });
    }
    system.stop()?;
    Ok(all)
}

/// Runs a line, and gives the changes that it made to file systems.
fn observe(system: &mut System<'_>, view: &View, line: &str) -> Result<(Done, Vec<Change>)> {
    let prefix = format!("strace -f -y -qq -e signal=none -e trace={TRACED} -o {TRACE}");
    let done = system.session()?.run(&format!("{prefix} {line}"))?;
    let text = std::fs::read(system.out("trace")).context("Reading what strace wrote")?;
    let mut changes = change::changes(&syntax::parse(&String::from_utf8_lossy(&text)), "?");
    for change in &mut changes {
        change.path = view.physical(&change.path);
    }
    Ok((done, changes))
}
