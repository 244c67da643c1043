// SPDX-License-Identifier: MIT OR Apache-2.0
//! `./run test`: every stage runs even when another failed, and the end says what each did and how long it took.

pub(crate) mod beyond;
mod harness;
mod outcome;
mod tell;

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::lint::{self, Verdict};
use crate::peer::{self, Peer};
use crate::workspace::Workspace;
use crate::{
    build, crash, deb, diff_peer, documentation, fresh, install, process, terminal, units, upstream, vm,
};
use beyond::{Ended, Record};
use harness::{Programs, Steps};
use outcome::Outcome;
use tell::Tell;

struct Stage {
    name: &'static str,
    /// Which runs have it.
    of: &'static [Extent],
    run: fn(&Run<'_>) -> Result<Outcome>,
}

/// The context of a stage.
struct Run<'a> {
    workspace: &'a Workspace,
    asked: &'a Asked,
    tell: &'a Tell,
}

/// How much is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Without what is slow.
    Quick,
    /// The checks that every change has to pass.
    Usual,
    /// The boots beyond the budget of the usual run, and nothing else.
    Beyond,
}

/// The wishes of the command line.
pub(crate) struct Asked {
    extent: Extent,
    /// Of the boots beyond the budget, those whose names match.
    only: Option<String>,
}

impl Asked {
    /// By the options of the command line.
    pub(crate) fn of(quick: bool, all: bool, only: Option<String>) -> Self {
        let extent = match (quick, all) {
            (true, _) => Extent::Quick,
            (_, true) => Extent::Beyond,
            _ => Extent::Usual,
        };
        Self { extent, only }
    }

    /// Returns the arguments for `tests-vm`.
    fn machines(&self) -> Vec<&str> {
        match (self.extent, &self.only) {
            (Extent::Beyond, Some(glob)) => vec!["run", "--beyond", "--only", glob],
            (Extent::Beyond, None) => vec!["run", "--beyond"],
            _ => vec!["run"],
        }
    }
}

const QUICK: &[Extent] = &[Extent::Quick, Extent::Usual];
const SLOW: &[Extent] = &[Extent::Usual];
const ALWAYS: &[Extent] = &[Extent::Quick, Extent::Usual, Extent::Beyond];
const MACHINES: &[Extent] = &[Extent::Usual, Extent::Beyond];

const STAGES: &[Stage] = &[
    Stage { name: "rules", of: QUICK, run: rules },
    Stage { name: "build", of: ALWAYS, run: |run| build_and_install(run.workspace) },
    Stage { name: "units", of: QUICK, run: |run| verify_units(run.workspace) },
    Stage { name: "peers", of: ALWAYS, run: |run| make_peers(run.workspace) },
    Stage { name: "package", of: QUICK, run: |run| try_package(run.workspace) },
    Stage { name: "fresh", of: SLOW, run: fresh_machines },
    Stage { name: "tests", of: QUICK, run: cargo_test },
    Stage { name: "upstream", of: SLOW, run: upstream_tests },
    Stage { name: "doc", of: QUICK, run: documentation },
    Stage { name: "beside", of: QUICK, run: beside_the_peer },
    Stage { name: "plans", of: SLOW, run: plans },
    Stage { name: "crash", of: SLOW, run: power_cuts },
    Stage { name: "machines", of: MACHINES, run: machines },
];

/// Runs the stages; the last line printed is the sum.
pub(crate) fn run(workspace: &Workspace, asked: &Asked) -> Result<ExitCode> {
    let mut done: Vec<(&str, Duration, Outcome)> = Vec::new();
    let begin = Instant::now();
    let tell = Tell::new();
    let run = Run { workspace, asked, tell: &tell };
    for stage in STAGES.iter().filter(|stage| stage.of.contains(&asked.extent)) {
        tell.begin(stage.name);
        let outcome = (stage.run)(&run).unwrap_or_else(|error| {
            let told = format!("{error:#}");
            tell.line(&format!("FAILED: {told}"));
            Outcome::failed(told)
        });
        done.push((stage.name, tell.end(&outcome), outcome));
    }
    drop(tell);
    let sum = |count: fn(&Outcome) -> u32| done.iter().map(|(_, _, outcome)| count(outcome)).sum::<u32>();
    let failed = sum(|outcome| outcome.failed);
    let mut told =
        format!("{:<10} {:>8} {:>7} {:>7} {:>8}\n", "stage", "seconds", "passed", "failed", "skipped");
    for (name, time, Outcome { passed, failed, skipped, .. }) in &done {
        told += &format!("{name:<10} {:>8.1} {passed:>7} {failed:>7} {skipped:>8}\n", time.as_secs_f64());
    }
    told += &format!("{:<10} {:>8.1}\n", "all", begin.elapsed().as_secs_f64());
    for (name, _, outcome) in &done {
        for note in &outcome.notes {
            told += &format!("{name}: {note}\n");
        }
    }
    if asked.extent == Extent::Quick {
        let left = STAGES.iter().filter(|stage| !stage.of.contains(&Extent::Quick)).map(|stage| stage.name);
        told += &format!("not run with --quick: {}\n", left.collect::<Vec<_>>().join(", "));
    }
    told += &format!(
        "{} passed, {failed} failed, {} skipped",
        sum(|outcome| outcome.passed),
        sum(|outcome| outcome.skipped)
    );
    println!("\n{told}");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn rules(run: &Run<'_>) -> Result<Outcome> {
    let mut all = Outcome::default();
    for (name, check) in lint::RULES {
        terminal::progress(name);
        match check(run.workspace) {
            Ok(Verdict::Holds) => all.passed += 1,
            Ok(Verdict::Skipped(why)) => {
                all.skipped += 1;
                all.notes.push(format!("skipped: {name}: {why}"));
            }
            Err(error) => {
                let told = format!("FAILED: {name}: {error:#}");
                run.tell.line(&told);
                all.failed += 1;
                all.notes.push(told);
            }
        }
    }
    Ok(all)
}

fn build_and_install(workspace: &Workspace) -> Result<Outcome> {
    // A file of a former build must not stand in for one that is missing now.
    if workspace.destdir().exists() {
        std::fs::remove_dir_all(workspace.destdir())?;
    }
    build::all(workspace)?;
    install::built(workspace, &workspace.destdir())?;
    Ok(Outcome::passed(2))
}

fn verify_units(workspace: &Workspace) -> Result<Outcome> {
    units::verify(workspace).map(Outcome::passed)
}

fn make_peers(workspace: &Workspace) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    for peer in peer::ensure_all(workspace)? {
        let version = process::output(process::command(&peer.program).arg("--version"))?;
        anyhow::ensure!(version.contains("libostree:"), "{} does not run", peer.program.display());
        outcome.passed += 1;
    }
    Ok(outcome)
}

/// The Debian package, in a copy of each peer's tree.
fn try_package(workspace: &Workspace) -> Result<Outcome> {
    deb::verify(workspace, &Peer::all(&workspace.cache)).map(Outcome::passed)
}

/// Resolves the packages of each verb, in the smallest system of each Debian release.
fn fresh_machines(run: &Run<'_>) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    for tried in fresh::resolve(run.workspace)? {
        if tried.good {
            outcome.passed += 1;
            continue;
        }
        outcome.failed += 1;
        let told = format!("FAILED: {}", tried.told);
        run.tell.line(&told);
        outcome.notes.push(told);
    }
    Ok(outcome)
}

/// All tests that cargo knows. Those that compare with the peer are marked as ignored, because plain `cargo test` has no
/// peer; here it is there, so they all run. Those of mounts and of owners need root and are skipped without it, so they all run
/// as root, and none may be skipped for want of it.
fn cargo_test(run: &Run<'_>) -> Result<Outcome> {
    let workspace = run.workspace;
    let mut cargo = process::cargo("test");
    cargo.current_dir(&workspace.root).args(["--workspace", "--no-fail-fast", "--", "--include-ignored"]);
    // A quiet cargo names neither its programs nor the tests of them.
    cargo.env("CARGO_TERM_QUIET", "false");
    for peer in Peer::all(&workspace.cache) {
        cargo.envs(peer.environment());
    }
    cargo.env("OSTREE_RS_DESTDIR", workspace.destdir());
    if !rustix::process::geteuid().is_root() {
        let triple = workspace.triple.to_uppercase().replace('-', "_");
        cargo.env(format!("CARGO_TARGET_{triple}_RUNNER"), "sudo --preserve-env");
    }
    let mut programs = Programs::default();
    let finished = process::listen(cargo, |line| {
        programs.take(line).iter().for_each(|line| run.tell.line(line));
        terminal::note(programs.name());
    })?;
    let mut outcome = counted(&finished);
    outcome.refuse_skipped_without_root();
    if outcome.failed > 0 {
        programs.rest().iter().for_each(|line| run.tell.line(line));
    }
    Ok(outcome)
}

/// The tests of the C tools, as far as our programs pass them.
fn upstream_tests(run: &Run<'_>) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    for (ended, lost) in upstream::run_list(run.workspace, &|line| run.tell.line(line))? {
        outcome.passed += ended.points();
        if let Some(lost) = lost {
            outcome.failed += 1;
            outcome.notes.push(format!("FAILED: {lost}"));
        }
    }
    Ok(outcome)
}

/// The rustdoc, and each example as a test of its own: plain `cargo test` builds examples and does not run them.
fn documentation(run: &Run<'_>) -> Result<Outcome> {
    documentation::build(run.workspace)?;
    let mut outcome = Outcome::passed(1);
    for example in documentation::examples(run.workspace)? {
        terminal::progress(&example.to_string());
        match example.run(run.workspace) {
            Ok(()) => outcome.passed += 1,
            Err(error) => {
                let told = format!("FAILED: {example}: {error:#}");
                run.tell.line(&told);
                outcome.failed += 1;
                outcome.notes.push(told);
            }
        }
    }
    Ok(outcome)
}

fn power_cuts(run: &Run<'_>) -> Result<Outcome> {
    crash_test(run, "--quick")
}

/// Whether what happens is what plans announce.
fn plans(run: &Run<'_>) -> Result<Outcome> {
    crash_test(run, "plans")
}

/// Runs `tests-crash`.
fn crash_test(run: &Run<'_>, argument: &str) -> Result<Outcome> {
    let peer = Peer::at(&run.workspace.cache);
    summed(run, crash::driver(run.workspace, &peer, None, &[argument.to_owned()])?)
}

/// Fixed seeds of random commands, beside the peer.
fn beside_the_peer(run: &Run<'_>) -> Result<Outcome> {
    let peer = Peer::at(&run.workspace.cache);
    summed(run, diff_peer::driver(run.workspace, &peer, &["--quick".to_owned()])?)
}

/// Runs a test whose last line is the sum: a failure is one of its own.
fn summed(run: &Run<'_>, driver: Command) -> Result<Outcome> {
    let finished = process::listen(driver, |line| run.tell.line(line))?;
    let sum = finished.output.lines().last().unwrap_or_default().to_owned();
    if finished.success {
        return Ok(Outcome { notes: vec![sum], ..Outcome::passed(1) });
    }
    Ok(Outcome::failed(format!("FAILED: {sum}")))
}

fn machines(run: &Run<'_>) -> Result<Outcome> {
    let peer = Peer::at(&run.workspace.cache);
    let driver = vm::driver(run.workspace, &peer, &run.asked.machines())?;
    let record = match run.asked.extent {
        Extent::Beyond => Some(Record::new(run.workspace)?),
        Extent::Quick | Extent::Usual => None,
    };
    let mut steps = Steps::default();
    let mut written = Ok(());
    let finished = process::listen(driver, |line| {
        if let Some(line) = steps.take(line) {
            run.tell.line(line);
        }
        // Scenario by scenario: what has run is kept when the next one is interrupted.
        if let (Some(record), Some(ended), Ok(())) = (&record, Ended::parse(line), &written) {
            written = record.write(&ended);
        }
    })?;
    written?;
    Ok(counted(&finished))
}

/// Counts from the output of a test harness; a failure without any failed test is one of its own.
fn counted(finished: &process::Finished) -> Outcome {
    let mut outcome = Outcome::count(&finished.output);
    if !finished.success && outcome.failed == 0 {
        outcome.failed = 1;
        outcome.notes.push("FAILED: did not build, or ended before its tests did".to_owned());
    }
    if finished.success && outcome.passed == 0 {
        return Outcome::failed("no test ran".to_owned());
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_extent_has_its_stages() {
        let stages = |extent: Extent| -> Vec<&str> {
            STAGES.iter().filter(|stage| stage.of.contains(&extent)).map(|stage| stage.name).collect()
        };
        assert_eq!(
            stages(Extent::Quick),
            ["rules", "build", "units", "peers", "package", "tests", "doc", "beside"]
        );
        let usual = [
            "rules", "build", "units", "peers", "package", "fresh", "tests", "upstream", "doc", "beside",
            "plans", "crash", "machines",
        ];
        assert_eq!(stages(Extent::Usual), usual);
        assert_eq!(stages(Extent::Beyond), ["build", "peers", "machines"]);
    }

    #[test]
    fn what_is_asked_of_the_machines() {
        assert_eq!(Asked::of(false, false, None).machines(), ["run"]);
        assert_eq!(Asked::of(false, true, None).machines(), ["run", "--beyond"]);
        let one = Asked::of(false, true, Some("loaders::*".to_owned()));
        assert_eq!(one.machines(), ["run", "--beyond", "--only", "loaders::*"]);
    }

    #[test]
    fn silence_is_no_success() {
        let finished = |success, output: &str| process::Finished { success, output: output.to_owned() };
        assert_eq!(counted(&finished(true, "")).failed, 1);
        assert_eq!(counted(&finished(false, "error: could not compile\n")).failed, 1);
        assert_eq!(
            counted(&finished(true, "test result: ok. 1 passed; 0 failed; 0 ignored\n")),
            Outcome::passed(1)
        );
    }
}
