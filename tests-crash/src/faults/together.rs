// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two commands at once: both end, and what is there is what one after the other leaves.

use anyhow::{Context, Result};

use super::call::{Call, choose};
use super::injection::{Outcome, Subject};
use super::stand::{Stand, System};
use crate::kit::{Kit, Programs};
use crate::menu::MenuEntry;
use crate::rules::{Problem, Rules, flagged};

/// A command that waits at one of its calls, and another one that runs meanwhile.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    /// The operation with the command that waits.
    operation: &'static str,
    /// Which of its commands that is; those before it are run first.
    command: usize,
    /// At which calls.
    at: At,
    /// The other one.
    pub(super) other: &'static str,
}

/// At which of its calls a command waits.
#[derive(Debug, Clone, Copy)]
enum At {
    /// All over, one in so many.
    OneIn(usize),
    /// The last few until it has the lock of the sysroot.
    Lock(usize),
}

/// Commands that run while a deployment is made, in the system with which `deploy` begins; and while what is staged is finalized.
pub(super) const PAIRS: [Pair; 6] = [
    during_deploy("ostree admin deploy --os=testos three"),
    during_deploy("ostree admin kargs edit-in-place --append-if-missing=quiet"),
    during_deploy("ostree admin cleanup"),
    during_deploy("ostree --repo=$REPO prune --refs-only"),
    during_deploy("ostree --repo=$REPO pull-local /run/kit/source main"),
    Pair { operation: "stage", command: 1, at: At::Lock(4), other: "ostree admin deploy --stage three" },
];

const fn during_deploy(other: &'static str) -> Pair {
    Pair { operation: "deploy", command: 0, at: At::OneIn(80), other }
}

/// How long it waits there, in microseconds; the other takes about a tenth of that.
const WAIT: u32 = 400_000;

/// How long the other one waits before it starts, in seconds.
const START: &str = "0.15";

/// The pairs of an operation, each with the calls at which its command waits.
pub(super) fn pairs(subject: &Subject) -> Vec<(usize, Pair)> {
    let of = PAIRS.into_iter().filter(|pair| pair.operation == subject.operation.name);
    of.flat_map(|pair| pair.places(subject).into_iter().map(move |call| (call, pair))).collect()
}

impl Pair {
    /// Whether a sample has it in any case.
    pub(super) fn is_always_tried(&self) -> bool {
        matches!(self.at, At::Lock(_))
    }

    /// The calls at which the command waits, by their indices.
    fn places(&self, subject: &Subject) -> Vec<usize> {
        let Some(calls) = subject.calls.get(self.command) else { return Vec::new() };
        match self.at {
            At::OneIn(every) => choose(calls).into_iter().step_by(every).collect(),
            At::Lock(count) => {
                let is_lock = |call: &Call| call.thread == 0 && call.place.ends_with("ostree/lock");
                let lock = calls.iter().position(is_lock).map_or(0, |lock| lock + 1);
                let first = calls.iter().enumerate().take(lock).filter(|(_, call)| call.thread == 0);
                let places: Vec<usize> = first.map(|(index, _)| index).collect();
                places.iter().rev().take(count).copied().collect()
            }
        }
    }
}

/// Runs the operation up to a command, which waits at a call, and the other command meanwhile.
pub(super) fn race(
    subject: &Subject,
    (call, pair): (usize, Pair),
    stand: &Stand,
    (programs, kit): (&Programs, &Kit),
) -> Result<Outcome> {
    let other = pair.other;
    let commands = subject.operation.commands;
    let first = *commands.get(pair.command).context("There is no command")?;
    let start = || -> Result<System<'_>> {
        let mut system = stand.start(&subject.machine, kit, subject.operation.booted)?;
        for line in commands.iter().take(pair.command) {
            system.session()?.ok(line)?;
        }
        Ok(system)
    };
    let mut wanted = Vec::new();
    for order in [[first, other], [other, first]] {
        let mut system = start()?;
        for line in order {
            system.session()?.ok(line)?;
        }
        wanted.push(system.menu()?.1.entries);
        system.stop()?;
    }
    let calls = subject.calls.get(pair.command);
    let at = calls.and_then(|calls| calls.get(call)).context("No such call")?;
    let mut system = start()?;
    let (name, number) = (&at.name, at.number);
    let line = format!(
        "strace -f -qq --seccomp-bpf -e signal=none -e trace={name} -e inject={name}:delay_enter={WAIT}:when={number} \
         -o /dev/null {first} & one=$!; sleep {START}; {other}; two=$?; wait $one && exit $two"
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

/// Lists the faults of the system after both.
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
