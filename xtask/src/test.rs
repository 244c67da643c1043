// SPDX-License-Identifier: MIT OR Apache-2.0
//! `./run test`: every stage runs even when another failed, and the end says what each did and how long it took.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::lint::{self, Verdict};
use crate::peer::{self, Peer};
use crate::workspace::Workspace;
use crate::{build, crash, deb, install, process, terminal, units, vm};

/// What a stage counted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    passed: u32,
    failed: u32,
    skipped: u32,
    /// What a reader must know: names of tests that failed or did not run.
    notes: Vec<String>,
}

impl Outcome {
    fn passed(count: u32) -> Self {
        Self { passed: count, ..Self::default() }
    }

    fn failed(note: String) -> Self {
        Self { failed: 1, notes: vec![note], ..Self::default() }
    }
}

struct Stage {
    name: &'static str,
    /// Which runs have it.
    of: &'static [Extent],
    run: fn(&Workspace, Extent) -> Result<Outcome>,
}

/// How much is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Without what is slow.
    Quick,
    /// What every change has to pass.
    Usual,
    /// More boots than one waits for, too.
    All,
    /// These boots alone.
    Beyond,
}

impl Extent {
    /// By the options of the command line, of which there is one at most.
    pub(crate) fn of(quick: bool, all: bool, beyond: bool) -> Self {
        match (quick, all, beyond) {
            (true, ..) => Self::Quick,
            (_, true, _) => Self::All,
            (.., true) => Self::Beyond,
            _ => Self::Usual,
        }
    }

    /// What `tests-vm` is asked for.
    fn machines(self) -> &'static [&'static str] {
        match self {
            Self::Quick | Self::Usual => &["run"],
            Self::All => &["run", "--all"],
            Self::Beyond => &["run", "--beyond"],
        }
    }

    /// The command line, and what it covers, for runs that are kept.
    fn kept(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Quick | Self::Usual => None,
            Self::All => {
                Some(("--all", "everything that `./run test` checks, and the boots beyond its budget"))
            }
            Self::Beyond => {
                Some(("--beyond", "the boots beyond the budget of `./run test`, and nothing else"))
            }
        }
    }
}

const QUICK: &[Extent] = &[Extent::Quick, Extent::Usual, Extent::All];
const SLOW: &[Extent] = &[Extent::Usual, Extent::All];
const ALWAYS: &[Extent] = &[Extent::Quick, Extent::Usual, Extent::All, Extent::Beyond];
const MACHINES: &[Extent] = &[Extent::Usual, Extent::All, Extent::Beyond];

const STAGES: &[Stage] = &[
    Stage { name: "rules", of: QUICK, run: |workspace, _| rules(workspace) },
    Stage { name: "build", of: ALWAYS, run: |workspace, _| build_and_install(workspace) },
    Stage { name: "units", of: QUICK, run: |workspace, _| verify_units(workspace) },
    Stage { name: "peers", of: ALWAYS, run: |workspace, _| make_peers(workspace) },
    Stage { name: "package", of: QUICK, run: |workspace, _| try_package(workspace) },
    Stage { name: "tests", of: QUICK, run: |workspace, _| cargo_test(workspace) },
    Stage { name: "crash", of: SLOW, run: |workspace, _| power_cuts(workspace) },
    Stage { name: "machines", of: MACHINES, run: machines },
];

/// Runs the stages; the last line printed is the sum.
pub(crate) fn run(workspace: &Workspace, extent: Extent) -> Result<ExitCode> {
    let mut done: Vec<(&str, Duration, Outcome)> = Vec::new();
    let begin = Instant::now();
    for stage in STAGES.iter().filter(|stage| stage.of.contains(&extent)) {
        terminal::progress(&format!("stage {}", stage.name));
        let start = Instant::now();
        let outcome =
            (stage.run)(workspace, extent).unwrap_or_else(|error| Outcome::failed(format!("{error:#}")));
        done.push((stage.name, start.elapsed(), outcome));
    }
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
    if extent == Extent::Quick {
        told += "not run with --quick: the stages crash and machines\n";
    }
    told += &format!(
        "{} passed, {failed} failed, {} skipped",
        sum(|outcome| outcome.passed),
        sum(|outcome| outcome.skipped)
    );
    println!("\n{told}");
    if let Some((option, covers)) = extent.kept() {
        record(workspace, option, covers, &told)?;
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Keeps what a run with boots beyond the budget has come to.
#[fn_error_context::context("Writing docs/test-all.md")]
fn record(workspace: &Workspace, option: &str, covers: &str, told: &str) -> Result<()> {
    let git = |arguments: &[&str]| {
        process::output(process::command("git").args(arguments).current_dir(&workspace.root))
    };
    let date = process::output(process::command("date").args(["--utc", "+%Y-%m-%d"]))?;
    let commit = git(&["rev-parse", "--short", "HEAD"])?;
    let changed = if git(&["status", "--porcelain"])?.is_empty() { "" } else { ", with changes" };
    let text = format!(
        "<!-- SPDX-License-Identifier: MIT OR Apache-2.0 -->\n# The last run beyond the boot budget\n\n\
         `./run test` keeps to a budget of boots. `./run test --all` boots more: a whole Debian by each boot loader, the way of \
         GRUB\nfrom one kind of menu to the next, a mounted EFI system partition. `./run test --beyond` boots these alone. Both \
         write this page.\n\n\
         {}, at commit {}{changed}, `./run test {option}`: {covers}.\n\n```text\n{told}\n```\n",
        date.trim(),
        commit.trim()
    );
    Ok(std::fs::write(workspace.root.join("docs/test-all.md"), text)?)
}

fn rules(workspace: &Workspace) -> Result<Outcome> {
    let mut all = Outcome::default();
    for (name, check) in lint::RULES {
        terminal::progress(name);
        match check(workspace) {
            Ok(Verdict::Holds) => all.passed += 1,
            Ok(Verdict::Skipped(why)) => {
                all.skipped += 1;
                all.notes.push(format!("skipped: {name}: {why}"));
            }
            Err(error) => {
                all.failed += 1;
                all.notes.push(format!("FAILED: {name}: {error:#}"));
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

/// All tests that cargo knows. Those that compare with the peer are marked as ignored, because plain `cargo test` has no
/// peer; here it is there, so they all run. Those of mounts and of owners need root, so they all run as root.
fn cargo_test(workspace: &Workspace) -> Result<Outcome> {
    let mut cargo = process::cargo("test");
    cargo.current_dir(&workspace.root).args(["--workspace", "--no-fail-fast", "--", "--include-ignored"]);
    for peer in Peer::all(&workspace.cache) {
        cargo.envs(peer.environment());
    }
    cargo.env("OSTREE_RS_DESTDIR", workspace.destdir());
    if !rustix::process::geteuid().is_root() {
        let triple = workspace.triple.to_uppercase().replace('-', "_");
        cargo.env(format!("CARGO_TARGET_{triple}_RUNNER"), "sudo --preserve-env");
    }
    counted(process::capture(cargo)?)
}

/// Its last line is the sum: a failure is one of its own.
fn power_cuts(workspace: &Workspace) -> Result<Outcome> {
    let peer = Peer::at(&workspace.cache);
    let finished = process::capture(crash::driver(workspace, &peer, None, &["--quick".to_owned()])?)?;
    let sum = finished.output.lines().last().unwrap_or_default().to_owned();
    if finished.success {
        return Ok(Outcome { notes: vec![sum], ..Outcome::passed(1) });
    }
    if !terminal::watched() {
        eprint!("{}", finished.output);
    }
    Ok(Outcome::failed(format!("FAILED: {sum}")))
}

fn machines(workspace: &Workspace, extent: Extent) -> Result<Outcome> {
    let peer = Peer::at(&workspace.cache);
    let finished = process::capture(vm::driver(workspace, &peer, extent.machines())?)?;
    let booted = if extent.kept().is_some() { booted(&finished.output) } else { Vec::new() };
    let mut outcome = counted(finished)?;
    outcome.notes.extend(booted);
    Ok(outcome)
}

/// What the kept page tells of scenarios that went well: their names, and how long each of their boots took.
fn booted(output: &str) -> Vec<String> {
    let seconds = |line: &&str| line.strip_suffix(" s").is_some_and(|line| line.contains(": "));
    let passed = |line: &&str| line.starts_with("test ") && line.ends_with(" ... ok");
    output.lines().filter(|line| seconds(line) || passed(line)).map(str::to_owned).collect()
}

/// Counts from the output of a test harness; a failure without any failed test is one of its own.
fn counted(finished: process::Finished) -> Result<Outcome> {
    let mut outcome = count(&finished.output);
    if !finished.success && !terminal::watched() {
        for line in finished.output.lines().filter(|line| !line.ends_with(" ... ok")) {
            eprintln!("{line}");
        }
    }
    if !finished.success && outcome.failed == 0 {
        outcome.failed = 1;
        outcome.notes.push("FAILED: did not build, or ended before its tests did".to_owned());
    }
    if finished.success && outcome.passed == 0 {
        return Ok(Outcome::failed("no test ran".to_owned()));
    }
    Ok(outcome)
}

/// Adds up the lines `test result: ok. 3 passed; 0 failed; 1 ignored; …` and names what failed or was ignored.
fn count(output: &str) -> Outcome {
    let mut outcome = Outcome::default();
    for line in output.lines() {
        if let Some(result) = line.split_once("test result: ").map(|(_, rest)| rest) {
            let number = |what: &str| {
                let words = result.split(['.', ';']).filter_map(|part| part.trim().strip_suffix(what));
                words.filter_map(|count| count.trim().parse::<u32>().ok()).sum::<u32>()
            };
            outcome.passed += number(" passed");
            outcome.failed += number(" failed");
            outcome.skipped += number(" ignored");
        } else if let Some(name) = line.strip_prefix("test ") {
            if let Some((name, _)) = name.split_once(" ... FAILED") {
                outcome.notes.push(format!("FAILED: {name}"));
            } else if let Some((name, why)) = name.split_once(" ... ignored") {
                outcome.notes.push(format!("skipped: {name}{why}"));
            }
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "running 4 tests\ntest a::b ... ok\ntest c ... FAILED\ntest d ... ignored, needs a thing\n\
        test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
        test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out; finished in 0.01s\n";

    #[test]
    fn harness_output() {
        let outcome = count(OUTPUT);
        assert_eq!((outcome.passed, outcome.failed, outcome.skipped), (6, 1, 1));
        assert_eq!(outcome.notes, ["FAILED: c", "skipped: d, needs a thing"]);
    }

    #[test]
    fn what_was_booted() {
        let output = "running 1 test\nDebian by BIOS and grub2: 61.5 s\ntest a ... ok\ntest b ... FAILED\n\ntest result: ok. 1";
        assert_eq!(booted(output), ["Debian by BIOS and grub2: 61.5 s", "test a ... ok"]);
    }

    #[test]
    fn each_extent_has_its_stages() {
        let stages = |extent: Extent| -> Vec<&str> {
            STAGES.iter().filter(|stage| stage.of.contains(&extent)).map(|stage| stage.name).collect()
        };
        let quick = ["rules", "build", "units", "peers", "package", "tests"];
        assert_eq!(stages(Extent::Quick), quick);
        assert_eq!(stages(Extent::Usual), [&quick[..], &["crash", "machines"]].concat());
        assert_eq!(stages(Extent::All), stages(Extent::Usual));
        assert_eq!(stages(Extent::Beyond), ["build", "peers", "machines"]);
    }

    #[test]
    fn silence_is_no_success() {
        let finished = |success, output: &str| process::Finished { success, output: output.to_owned() };
        assert_eq!(counted(finished(true, "")).unwrap().failed, 1);
        assert_eq!(counted(finished(false, "error: could not compile\n")).unwrap().failed, 1);
        assert_eq!(
            counted(finished(true, "test result: ok. 1 passed; 0 failed; 0 ignored\n")).unwrap(),
            Outcome::passed(1)
        );
    }
}
