// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every fuzz target for a short time. Built by plain cargo with the coverage flags that cargo-fuzz uses, so that a fresh
//! machine does not compile cargo-fuzz first; the longer runs of a developer are `cargo fuzz run -s none TARGET`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use fn_error_context::context;
use serde::Deserialize;

use crate::workspace::Workspace;
use crate::{process, terminal};

/// Counters at the edges of the code and the operands of comparisons, which libFuzzer steers by.
const FLAGS: &str = "--cfg fuzzing -C passes=sancov-module -C llvm-args=-sanitizer-coverage-level=4 \
                     -C llvm-args=-sanitizer-coverage-inline-8bit-counters -C llvm-args=-sanitizer-coverage-pc-table \
                     -C llvm-args=-sanitizer-coverage-trace-compares -C debug-assertions -C overflow-checks \
                     -C codegen-units=1";

/// Where there are targets: beside what they test.
const CRATES: [&str; 2] = ["crates/formats/fuzz", "tests-crash/fuzz"];

#[derive(Deserialize)]
struct Manifest {
    bin: Vec<Bin>,
}

#[derive(Deserialize)]
struct Bin {
    name: String,
}

/// Builds and runs every target for some seconds.
pub(crate) fn run(workspace: &Workspace, seconds: u32) -> Result<()> {
    let targets = targets(workspace)?;
    let mut broken = Vec::new();
    for folder in CRATES.map(|folder| workspace.root.join(folder)) {
        let programs = build(workspace, &folder)?;
        for (_, target) in targets.iter().filter(|(of, _)| *of == folder) {
            terminal::progress(&format!("fuzzing {target} for {seconds} s"));
            if let Err(error) = fuzz(workspace, &folder, &programs, target, seconds) {
                println!("FAILED  {target}: {error:#}");
                broken.push(target.as_str());
            } else {
                println!("ok      {target}");
            }
        }
    }
    if !broken.is_empty() {
        bail!("{} of {} targets found something: {}", broken.len(), targets.len(), broken.join(", "));
    }
    Ok(())
}

/// Runs every target in turn, each for its part of the time.
pub(crate) fn run_all(workspace: &Workspace, minutes: u32) -> Result<()> {
    let targets = u32::try_from(targets(workspace)?.len())?;
    run(workspace, (minutes * 60 / targets).max(1))
}

/// All targets, each with its crate.
fn targets(workspace: &Workspace) -> Result<Vec<(PathBuf, String)>> {
    let mut targets = Vec::new();
    for folder in CRATES.map(|folder| workspace.root.join(folder)) {
        let path = folder.join("Cargo.toml");
        let text = std::fs::read_to_string(&path).with_context(|| format!("Reading {}", path.display()))?;
        let manifest: Manifest =
            toml::from_str(&text).with_context(|| format!("Parsing {}", path.display()))?;
        ensure!(!manifest.bin.is_empty(), "{} has no target", path.display());
        targets.extend(manifest.bin.into_iter().map(|bin| (folder.clone(), bin.name)));
    }
    Ok(targets)
}

#[context("Building the fuzz targets")]
fn build(workspace: &Workspace, folder: &Path) -> Result<PathBuf> {
    terminal::progress("cargo build of the fuzz targets, with coverage");
    let target = workspace.target.join("fuzz");
    let mut cargo = process::cargo("build");
    cargo.args(["--release", "--bins", "--target", &workspace.triple]);
    cargo.arg("--manifest-path").arg(folder.join("Cargo.toml")).arg("--target-dir").arg(&target);
    cargo.env("RUSTFLAGS", FLAGS);
    process::run(cargo)?;
    Ok(target.join(&workspace.triple).join("release"))
}

#[context("Fuzzing {target}")]
fn fuzz(workspace: &Workspace, folder: &Path, programs: &Path, target: &str, seconds: u32) -> Result<()> {
    // The inputs that the fuzzer finds are kept over runs; those that it starts from are in the checkout.
    let corpus = workspace.target.join("fuzz/corpus").join(target);
    let artifacts = workspace.target.join("fuzz/artifacts").join(target);
    for dir in [&corpus, &artifacts] {
        std::fs::create_dir_all(dir).with_context(|| format!("Creating {}", dir.display()))?;
    }
    let mut command = process::command(programs.join(target));
    command.arg(&corpus);
    let seeds = folder.join("seeds").join(target);
    if seeds.is_dir() {
        command.arg(seeds);
    }
    command
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/", artifacts.display()));
    command.args(["-timeout=10", "-rss_limit_mb=512", "-max_len=65536"]);
    process::run(command)
}
