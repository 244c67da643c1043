// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two commands at once: both end, and what is there is what one after the other leaves.

use anyhow::{Context, Result};

use super::call::choose;
use super::injection::{Outcome, Subject};
use super::stand::{Stand, System};
use crate::kit::{Kit, Programs};
use crate::menu::MenuEntry;
use crate::rules::{Problem, Rules, flagged};

/// What is done while a deployment is made, in the system with which `deploy` begins.
pub(super) const OTHERS: [&str; 5] = [
    "ostree admin deploy --os=testos three",
    "ostree admin kargs edit-in-place --append-if-missing=quiet",
    "ostree admin cleanup",
    "ostree --repo=$REPO prune --refs-only",
    "ostree --repo=$REPO pull-local /run/kit/source main",
];

/// At which of the first command's calls it waits for the other: one in so many.
pub(super) const EVERY: usize = 80;
/// How long it waits there, in microseconds; the other takes about a tenth of that.
const WAIT: u32 = 400_000;

/// The calls of the first command at which it waits, by their indices.
pub(super) fn places(subject: &Subject) -> Vec<usize> {
    let calls = subject.calls.first().map(|calls| choose(calls)).unwrap_or_default();
    calls.into_iter().step_by(EVERY).collect()
}

/// Runs the operation, which waits at a call, and the other command meanwhile.
pub(super) fn race(
    subject: &Subject,
    call: usize,
    other: &str,
    stand: &Stand,
    (programs, kit): (&Programs, &Kit),
) -> Result<Outcome> {
    let first = *subject.operation.commands.first().context("There is no command")?;
    let mut wanted = Vec::new();
    for order in [[first, other], [other, first]] {
        let mut system = stand.start(&subject.machine, kit, false)?;
        for line in order {
            system.session()?.ok(line)?;
        }
        wanted.push(system.menu()?.1.entries);
        system.stop()?;
    }
    let at = subject.calls.first().and_then(|calls| calls.get(call)).context("No such call")?;
    let mut system = stand.start(&subject.machine, kit, false)?;
    let (name, number) = (&at.name, at.number);
    let line = format!(
        "strace -f -qq --seccomp-bpf -e signal=none -e trace={name} -e inject={name}:delay_enter={WAIT}:when={number} \
         -o /dev/null {first} & one=$!; sleep 0.15; {other}; two=$?; wait $one && exit $two"
    );
    let done = system.session()?.run(&line)?;
    let mut problems = Vec::new();
    if done.status != 0 {
        problems.push(flagged(format!("exit status {}: {}", done.status, done.said)));
    }
    let rules = Rules { references: &subject.references, operation: subject.operation, programs, kit };
    problems.extend(left(&mut system, &rules, &wanted)?);
    system.stop()?;
    Ok(Outcome { reached: true, status: done.status, said: done.said, problems })
}

/// What is wrong with what both have left.
fn left(system: &mut System<'_>, rules: &Rules<'_>, wanted: &[Vec<MenuEntry>]) -> Result<Vec<Problem>> {
    let menu = system.menu()?.1;
    let mut problems: Vec<Problem> = menu.problems.iter().map(|problem| flagged(problem.clone())).collect();
    let is_same = |wanted: &Vec<MenuEntry>| {
        let mut pairs = wanted.iter().zip(&menu.entries);
        wanted.len() == menu.entries.len() && pairs.all(|(wanted, is)| wanted.is_same_system(is))
    };
    if !wanted.iter().any(is_same) {
        problems.push(flagged(format!("neither order leaves this menu: {:?}", menu.entries)));
    }
    problems.extend(rules.plan_problems(&menu, &system.root)?);
    let fsck = system.session()?.run("ostree --repo=$REPO fsck -q")?;
    if fsck.status != 0 {
        problems.push(flagged(format!("fsck: {}", fsck.said)));
    }
    Ok(problems)
}
