// SPDX-License-Identifier: MIT OR Apache-2.0
//! One failure of one system call, and what is left after it.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::call::{self, Call, Failure};
use super::stand::{Stand, System};
use crate::kit::{Kit, Programs};
use crate::machine::Machine;
use crate::operation::Operation;
use crate::reference::Reference;
use crate::rules::{Problem, Rules, flagged};
use crate::session::Done;

/// The status of a program that was killed, as a shell tells it.
const KILLED: i32 = 128 + 9;
/// The exit status of a program that looks for problems and has found some.
const FOUND: i32 = 2;
/// The words about a deployment whose origin cannot be read.
const KEPT_UNREAD: &str = "until then the deployment is kept";
/// Where a session puts what `strace` writes.
const TRACE: &str = "/run/out/trace";

/// An operation with what its commands do when nothing fails.
pub(super) struct Subject {
    pub(super) operation: &'static Operation,
    pub(super) machine: Machine,
    pub(super) references: Vec<Reference>,
    /// The calls of each command.
    pub(super) calls: Vec<Vec<Call>>,
    /// Where the root was mounted then.
    root: PathBuf,
}

/// A call that is made to fail.
#[derive(Debug, Clone)]
pub(super) struct Injection {
    /// Which command of the operation.
    pub(super) command: usize,
    /// Which call of it.
    pub(super) call: usize,
    /// The failure.
    pub(super) failure: Failure,
}

impl Injection {
    /// Whether this is what careless writing does not survive: no room, or an end at any moment.
    pub(super) fn is_harsh(&self) -> bool {
        [Failure::Kill, Failure::Error("ENOSPC")].contains(&self.failure)
    }
}

impl Subject {
    /// Prepares an operation, and runs it once without a failure.
    pub(super) fn new(
        operation: &'static Operation,
        machine: Machine,
        kit: &Kit,
        stand: &Stand,
    ) -> Result<Self> {
        // A deployment of this second would count as one since the start, by the clocks.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        let mut system = stand.start(&machine, kit, operation.booted)?;
        let mut references = vec![Reference::take("before", &system.root)?];
        let mut calls = Vec::new();
        for line in operation.commands {
            system.session()?.ok(&format!("strace -f -y -qq -e signal=none -o {TRACE} {line}"))?;
            calls.push(call::parse(&std::fs::read_to_string(system.out("trace"))?));
            references.push(Reference::take(line, &system.root)?);
        }
        let root = system.root.clone();
        system.stop()?;
        Ok(Self { operation, machine, references, calls, root })
    }

    /// Lists the failures to try: of each call one error, another one at the next call, and a kill; or everything that can happen.
    pub(super) fn injections(&self, all: bool) -> Vec<Injection> {
        let mut injections = Vec::new();
        for (command, calls) in self.calls.iter().enumerate() {
            for (turn, call) in call::choose(calls).into_iter().enumerate() {
                let failures = calls.get(call).map(Call::failures).unwrap_or_default();
                let errors = failures.iter().filter(|failure| **failure != Failure::Kill).count();
                let chosen = failures.into_iter().enumerate().filter(|(index, failure)| {
                    all || *failure == Failure::Kill || *index == turn % errors.max(1)
                });
                injections.extend(chosen.map(|(_, failure)| Injection { command, call, failure }));
            }
        }
        injections
    }

    /// How a failure is told.
    pub(super) fn describe(&self, injection: &Injection) -> String {
        let line = self.operation.commands.get(injection.command).copied().unwrap_or_default();
        let call = self.call(injection).map_or_else(String::new, |call| {
            format!("{} {} of thread {}: {}", call.name, call.number, call.thread, call.text)
        });
        format!("{line}: {} at {call}", injection.failure)
    }

    fn call(&self, injection: &Injection) -> Option<&Call> {
        self.calls.get(injection.command)?.get(injection.call)
    }

    /// The command with the failure; all before it have been run.
    fn line(&self, injection: &Injection, root: &Path) -> Result<String> {
        let line = self.operation.commands.get(injection.command).context("No such command")?;
        let call = self.call(injection).context("No such call")?;
        // Calls are counted a thread, in each thread from 1: only in the first one the count alone says which it is.
        let (path, number) = match call.thread {
            0 => (String::new(), call.number),
            _ => {
                let [then, now] = [&self.root, root].map(|root| root.to_string_lossy().into_owned());
                (format!("-P '{}' ", call.given.replace(&then, &now)), call.number_there)
            }
        };
        // With its filter, strace 6.1 sends no signals.
        let filter = if injection.failure == Failure::Kill { "" } else { "--seccomp-bpf " };
        let (name, failure) = (&call.name, injection.failure.expression());
        Ok(format!(
            "strace -f -qq {filter}-e signal=none -e trace={name} -e inject={name}:{failure}:when={number} \
             {path}-o {TRACE} {line}"
        ))
    }

    /// Makes a call fail, and looks at what is left. An error is one of the test itself.
    pub(super) fn disturb(
        &self,
        injection: &Injection,
        stand: &Stand,
        (programs, kit): (&Programs, &Kit),
        thorough: bool,
    ) -> Result<Outcome> {
        let mut system = stand.start(&self.machine, kit, self.operation.booted)?;
        for line in self.operation.commands.iter().take(injection.command) {
            system.session()?.ok(line)?;
        }
        let line = self.line(injection, &system.root)?;
        let done = system.session()?.run(&line)?;
        let trace = std::fs::read_to_string(system.out("trace")).unwrap_or_default();
        let reached =
            trace.contains("(INJECTED)") || injection.failure == Failure::Kill && done.status == KILLED;
        let mut problems = manners(injection.failure, &done);
        let after = match done.status {
            0 => self.references.get(injection.command + 1).map(|reference| &reference.menu),
            _ => None,
        };
        let rules = Rules { references: &self.references, operation: self.operation, programs, kit };
        // A deployment whose origin cannot be read may be pinned: it stays, and that is told.
        if done.status == 0 && done.said.contains(KEPT_UNREAD) && rules.has_kept_more(&system.menu()?.1) {
            system.stop()?;
            return Ok(Outcome { reached, status: done.status, said: done.said, problems });
        }
        problems.extend(look(&mut system, &rules, thorough)?);
        let menu = system.menu()?.1;
        if after.is_some_and(|after| menu.entries != after.entries) {
            problems.push(flagged(format!("it says that it succeeded, and the menu is {:?}", menu.entries)));
        }
        if problems.is_empty() {
            problems.extend(again(&mut system, &rules)?);
        }
        system.stop()?;
        Ok(Outcome { reached, status: done.status, said: done.said, problems })
    }
}

/// The outcome of an injection.
pub(super) struct Outcome {
    /// Whether the call was made and failed.
    pub(super) reached: bool,
    /// How the command ended.
    pub(super) status: i32,
    /// The output of the program.
    pub(super) said: String,
    /// The faults of the system afterwards.
    pub(super) problems: Vec<Problem>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reached = if self.reached { "" } else { "not reached, " };
        write!(f, "{reached}exit status {}: {}", self.status, self.said.replace('\n', " | "))
    }
}

/// How a command ends that failed: no panic, one line.
pub(super) fn manners(failure: Failure, done: &Done) -> Vec<Problem> {
    let mut problems = Vec::new();
    if done.said.contains("panicked at") {
        problems.push(flagged(format!("it panicked: {}", done.said)));
    }
    let errors = done.said.lines().filter(|line| line.starts_with("error: ")).count();
    let last = done.said.lines().last().unwrap_or_default();
    let killed = failure == Failure::Kill && done.status == KILLED;
    // A repair that has left something tells it in a report, and by its status.
    let report = done.status == FOUND && last.starts_with("Still /") && last.contains(": ");
    let failed = done.status != 0 && !killed && !report;
    if failed && (errors != 1 || !last.starts_with("error: ")) {
        problems.push(flagged(format!("exit status {}, and not one line: {}", done.status, done.said)));
    } else if failed && !says_what_failed(last.trim_start_matches("error: ")) {
        problems.push(flagged(format!("it does not say what failed: {last}")));
    }
    problems
}

/// An error of the kernel alone says nothing; too little room is a sentence of its own.
fn says_what_failed(error: &str) -> bool {
    error.contains(": ") || error.contains(" and needs ")
}

/// Whether old or new is there, and the repository is whole.
pub(super) fn look(system: &mut System<'_>, rules: &Rules<'_>, thorough: bool) -> Result<Vec<Problem>> {
    let (snapshot, menu) = system.menu()?;
    let mut problems = rules.menu_problems(&menu, &snapshot);
    problems.extend(rules.plan_problems(&menu, &system.root)?);
    if thorough {
        let done = system.session()?.run("ostree --repo=$REPO fsck -q")?;
        if done.status != 0 {
            problems.push(flagged(format!("fsck: {}", done.said)));
        }
    }
    Ok(problems)
}

/// Whether the same commands, now that nothing fails, end as they should: at once, or after the reboot that they ask for.
pub(super) fn again(system: &mut System<'_>, rules: &Rules<'_>) -> Result<Vec<Problem>> {
    if rules.is_taken_up(&system.menu()?.0) {
        system.reboot()?;
    }
    let mut done = run_again(system, rules)?;
    if done.asks_for_reboot() {
        system.reboot()?;
        done = run_again(system, rules)?;
    }
    if done.status != 0 {
        return Ok(vec![flagged(format!("again: exit status {}: {}", done.status, done.said))]);
    }
    rules.end_problems(&system.root)
}

/// Up to the first that fails.
fn run_again(system: &mut System<'_>, rules: &Rules<'_>) -> Result<Done> {
    let (snapshot, menu) = system.menu()?;
    let lines = rules.again(&menu, &snapshot)?;
    ensure!(!lines.is_empty(), "there is nothing to do again");
    let mut last = Done { status: 0, said: String::new() };
    for line in lines.iter().chain([&rules.operation.finally]) {
        last = system.session()?.run(line)?;
        last.said = format!("{line}: {}", last.said);
        if last.status != 0 {
            break;
        }
    }
    Ok(last)
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(name) => f.write_str(name),
            Self::Kill => f.write_str("SIGKILL"),
        }
    }
}
