// SPDX-License-Identifier: MIT OR Apache-2.0
//! `./run fresh`: whether a machine that has nothing but Debian can get what each verb needs. The script `run` itself is
//! started in the smallest system of each release, with the apt sources of this machine and without any of its packages.

mod answers;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use fn_error_context::context;

use crate::tree::{self, Tree};
use crate::workspace::Workspace;
use crate::{apt, process};
use answers::Answer;

/// The releases that `README.md` names.
const SUITES: [&str; 2] = ["bookworm", "trixie"];

/// Starts `run` for every row, one after another, and goes on when one fails.
const EACH: &str = "for row; do echo \"@@ $row\"; /checkout/run need \"${row%--quick}\" ${row#\"${row%--quick}\"} --simulate || \
                    echo \"@@ failed\"; done";

/// The result of a verb in a release.
pub(crate) struct Tried {
    /// Release, verb and what it took or took not.
    pub(crate) told: String,
    /// Every package could be had.
    pub(crate) good: bool,
}

/// Tries everything and says what came of it; `all` builds there, too.
pub(crate) fn run(workspace: &Workspace, all: bool) -> Result<()> {
    let tried = resolve(workspace)?;
    for one in &tried {
        println!("{}{}", if one.good { "ok      " } else { "FAILED  " }, one.told);
    }
    let failed = tried.iter().filter(|one| !one.good).count();
    ensure!(failed == 0, "{failed} of {} cannot be had on a fresh machine", tried.len());
    if all {
        for suite in SUITES {
            println!("ok      {}", build(workspace, suite)?);
        }
    }
    Ok(())
}

/// Asks for the packages of every verb in every release. apt resolves them, and installs none.
pub(crate) fn resolve(workspace: &Workspace) -> Result<Vec<Tried>> {
    let rows = answers::rows(&said_by_run(workspace, &["need"])?)?;
    let of = |suite| {
        let rows = &rows;
        move || resolve_in(workspace, suite, rows)
    };
    // Each waits for the mirror and for one processor.
    let found = std::thread::scope(|scope| {
        let threads = SUITES.map(|suite| scope.spawn(of(suite)));
        threads.map(|thread| thread.join().unwrap_or_else(|_| bail!("a thread has ended before its time")))
    });
    let mut tried = Vec::new();
    for one in found {
        tried.extend(one?);
    }
    ensure!(tried.len() == rows.len() * SUITES.len(), "{} of {} were tried", tried.len(), rows.len());
    Ok(tried)
}

#[context("Resolving the packages of every verb in Debian {suite}")]
fn resolve_in(workspace: &Workspace, suite: &'static str, rows: &[answers::Row]) -> Result<Vec<Tried>> {
    let base = base(workspace, suite)?;
    let scratch = scratch(workspace, suite)?;
    let mut command = enter(workspace, &base, OsStr::new(&format!("tmpfs:{}", scratch.display())), &[])?;
    command.args(["sh", "-c", EACH, "sh"]).args(rows.iter().map(|row| &row.verb));
    let finished = process::capture(command)?;
    tree::remove(&scratch)?;
    ensure!(finished.success, "{}", finished.output.trim_end());
    let answers = answers::parse(&finished.output);
    rows.iter()
        .map(|row| {
            let answer = answers.get(&row.verb).map_or(&[][..], Vec::as_slice);
            Ok(match row.check(answer, at_least)? {
                Answer::Good(told) => Tried { told: format!("{suite}: {}: {told}", row.verb), good: true },
                Answer::Bad(told) => Tried { told: format!("{suite}: {}: {told}", row.verb), good: false },
            })
        })
        .collect()
}

/// Whether a version is at least another one, as dpkg orders them.
fn at_least(version: &str, bound: &str) -> Result<bool> {
    let status = process::command("dpkg").args(["--compare-versions", version, "ge", bound]).status();
    Ok(status.context("Starting dpkg")?.success())
}

/// Installs what `build` needs, and builds, with the compiler and the crates of this machine.
#[context("Building in Debian {suite}")]
fn build(workspace: &Workspace, suite: &'static str) -> Result<String> {
    let base = base(workspace, suite)?;
    let scratch = scratch(workspace, suite)?;
    let mut fetch = process::cargo("fetch");
    fetch.current_dir(&workspace.root);
    process::run(fetch)?;
    let toolchain = process::output(process::command("rustc").args(["--print", "sysroot"]))?;
    let toolchain = toolchain.trim_end();
    ensure!(
        toolchain != "/usr",
        "rustc is a package of this machine: one that rustup has installed can be lent"
    );
    let crates = match std::env::var_os("CARGO_HOME") {
        Some(home) => PathBuf::from(home),
        None => PathBuf::from(std::env::var_os("HOME").context("neither CARGO_HOME nor HOME is set")?)
            .join(".cargo"),
    };
    let variables = [format!("TOOLCHAIN={toolchain}"), format!("CRATES={}", crates.display())];
    let mut took = Vec::new();
    for arguments in [&["need", "build"][..], &["build"]] {
        let start = Instant::now();
        let mut command = enter(workspace, &base, scratch.as_os_str(), &variables)?;
        command.arg("/checkout/run").args(arguments);
        process::run(command)?;
        took.push(format!("./run {} {:.0} s", arguments.join(" "), start.elapsed().as_secs_f64()));
    }
    tree::remove(&scratch)?;
    Ok(format!("{suite}: {}", took.join(", ")))
}

/// The smallest system of a release.
fn base(workspace: &Workspace, suite: &'static str) -> Result<PathBuf> {
    let (sources, ways) = (apt::sources_of(suite)?, apt::ways()?);
    // Without certificates apt cannot read from a mirror that has one.
    let packages = if sources.contains("URIs: https:") { "ca-certificates" } else { "" };
    let recipe = format!("{suite} minbase {packages}\n{sources}{ways}");
    let dir = workspace.cache.join(format!("fresh-{suite}"));
    let tree = Tree { dir, suite, packages: packages.to_owned(), recipe };
    tree.ensure(|new| {
        let mut prepare = process::as_root("sh");
        prepare.arg(script(workspace, "prepare.sh")).arg(new).args([&sources, &ways]);
        process::run(prepare)
    })?;
    Ok(tree.dir)
}

/// An empty directory for what a system writes.
fn scratch(workspace: &Workspace, suite: &str) -> Result<PathBuf> {
    let scratch = workspace.target.join("fresh").join(suite);
    tree::remove(&scratch)?;
    std::fs::create_dir_all(&scratch).with_context(|| format!("Creating {}", scratch.display()))?;
    Ok(scratch)
}

/// The command line that enters a system; the command is still to be added.
fn enter(workspace: &Workspace, base: &Path, scratch: &OsStr, variables: &[String]) -> Result<Command> {
    let mut command = process::as_root("env");
    command.args(variables);
    command.args(["unshare", "--mount", "--propagation=private", "sh"]);
    command.arg(script(workspace, "enter.sh"));
    command.arg(base).arg(scratch).arg(&workspace.root);
    Ok(command)
}

/// One of the scripts beside this file.
fn script(workspace: &Workspace, name: &str) -> PathBuf {
    workspace.root.join("xtask/src/fresh").join(name)
}

fn said_by_run(workspace: &Workspace, arguments: &[&str]) -> Result<String> {
    process::output(process::command(workspace.root.join("run")).args(arguments))
}
