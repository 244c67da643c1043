// SPDX-License-Identifier: MIT OR Apache-2.0
//! Our `ostree` beside the peer's, in turn, in one run on one file system, a fresh one.

mod cases;
mod disk;
mod finalization;
mod growth;
mod measure;
mod report;
mod sides;
mod system;

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use fn_error_context::context;

use crate::workspace::Workspace;
use crate::{build, peer, picture, terminal, vm};
use cases::{CASES, Case};
use disk::Disk;
pub use measure::measure_one;
use sides::{Bench, Measured, Side};

/// The options of the verb.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The tree to commit [default: the Debian system of tests-vm with more packages]
    #[arg(long, value_name = "DIR")]
    tree: Option<PathBuf>,
    /// Measure this program instead of ours as it is now, an older build for example; docs/performance.md stays as it is
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Measured runs of each program, after one to warm up
    #[arg(long, value_name = "N", default_value_t = 5)]
    runs: u32,
    /// Only the cases whose name contains this; docs/performance.md stays as it is
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

/// Measures every case and writes `docs/performance.md`.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "bench deploys, which takes root: try sudo --preserve-env=HOME,PATH ./run bench"
    );
    ensure!(options.runs > 0, "--runs must be at least 1");
    let program = match &options.program {
        Some(program) => std::path::absolute(program)?,
        None => {
            build::all(workspace)?;
            workspace.ostree()
        }
    };
    let peer = peer::ensure(workspace)?;
    let tree = match &options.tree {
        Some(tree) => std::path::absolute(tree)?,
        None => vm::bench_tree(workspace, &peer)?,
    };
    ensure!(tree.join("usr").is_dir(), "{} is no tree of a system: it has no usr", tree.display());
    let dir = workspace.target.join("bench");
    let _disk = Disk::new(&workspace.target.join("bench.image"), &dir)?;
    let side = |name: &str, program: Vec<OsString>| Side { program, dir: dir.join(name) };
    let theirs: Vec<OsString> = peer.command_line().into_iter().map(PathBuf::into_os_string).collect();
    let bench = Bench {
        ours: side("ours", vec![program.into_os_string()]),
        theirs: side("theirs", theirs.clone()),
        shared: side("shared", theirs),
        meter: measure::meter(workspace)?,
        tree,
        repo: dir.join("repo"),
    };
    let facts = report::Facts::gather(workspace, &bench)?;
    prepare(&bench)?;
    let wanted = |name: &str| options.only.as_ref().is_none_or(|part| name.contains(part.as_str()));
    let shutdown = wanted(finalization::NAME) && options.program.is_none();
    // The part that may fail comes before the part that takes long.
    let growth = wanted(growth::NAME).then(|| growth::measure(&bench, options.runs)).transpose()?;
    let machines = shutdown.then(|| finalization::Machines::build(workspace, &peer)).transpose()?;
    let mut measured = Vec::new();
    for case in CASES.iter().filter(|case| wanted(case.name)) {
        measured.push(one(&bench, case, options.runs)?);
    }
    if let Some(machines) = machines {
        measured.push(machines.measure()?);
    }
    ensure!(!measured.is_empty() || growth.is_some(), "no case has that name");
    let table = report::table(&measured);
    let growth = growth.as_ref().map(growth::tables).unwrap_or_default();
    print!("{table}\n{growth}");
    if options.only.is_none() && options.program.is_none() {
        let path = workspace.root.join("docs/performance.md");
        std::fs::write(&path, report::page(&facts, &table, &growth, options.runs))
            .with_context(|| format!("Writing {}", path.display()))?;
        println!("wrote {}", path.display());
        for path in picture::draw_all(workspace)? {
            println!("wrote {path}");
        }
    }
    Ok(())
}

#[context("Preparing the repository that both programs read")]
fn prepare(bench: &Bench) -> Result<()> {
    terminal::progress("committing the tree for the cases that read it");
    for side in [&bench.ours, &bench.theirs, &bench.shared] {
        std::fs::create_dir_all(&side.dir).with_context(|| format!("Creating {}", side.dir.display()))?;
    }
    bench.theirs.run([sides::repo_option(&bench.repo), "init".into()])?;
    bench.theirs.run([
        sides::repo_option(&bench.repo),
        "commit".into(),
        "--branch=bench".into(),
        bench.tree.clone().into(),
    ])?;
    system::commit_versions(bench)
}

/// A, B, A, B …: what disturbs the machine for a while disturbs both.
#[context("Measuring {}", case.name)]
fn one(bench: &Bench, case: &'static Case, runs: u32) -> Result<Measured> {
    let (name, target) = (case.name, case.target);
    let mut measured = Measured { name, target, ours: Vec::new(), theirs: Vec::new() };
    for side in [&bench.theirs, &bench.ours] {
        (case.setup)(bench, side)?;
    }
    for round in 0..=runs.saturating_mul(case.times) {
        if round % 10 <= 1 || case.times == 1 {
            terminal::progress(&format!("{} {round}/{}", case.name, runs * case.times));
        }
        for (side, samples) in [(&bench.theirs, &mut measured.theirs), (&bench.ours, &mut measured.ours)] {
            (case.prepare)(bench, side)?;
            if case.writes {
                // The writes of the other program are not ours to wait for.
                rustix::fs::sync();
            }
            let sample = measure::measure(&bench.meter, &(case.line)(bench, side))?;
            if round > 0 {
                samples.push(sample);
            }
        }
    }
    Ok(measured)
}
