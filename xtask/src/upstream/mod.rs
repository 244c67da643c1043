// SPDX-License-Identifier: MIT OR Apache-2.0
//! `./run upstream`: the tests that Debian's package `ostree-tests` has, with our programs in the place of theirs.
//!
//! Nothing of the package is in this repository: it is installed into a Debian tree in the cache. Only scripts count that run
//! `ostree`; the compiled programs and those in JavaScript test the C library itself. `passing.txt` lists the points that our
//! programs reach, and none of them may be lost.

mod list;
mod tap;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use fn_error_context::context;

use crate::tree::{self, Tree};
use crate::workspace::Workspace;
use crate::{apt, install, process, terminal};
pub(crate) use list::check as check_table;
use list::{PASSING, Points};
use tap::Score;

/// The package with the tests, and what the scripts look for.
const PACKAGES: &str = "ostree-tests,ostree,ostree-boot,attr,busybox-static,cpio,elfutils,file,fuse3,gnupg,iproute2,jq,parallel,\
                        procps,python3,python3-gi,gir1.2-ostree-1.0,strace,sudo,xz-utils";
const SUITE: &str = "trixie";
/// In the tree: a file for each test.
const TESTS: &str = "usr/share/installed-tests/libostree";
/// Scripts that find no labels: they set attributes of users, and look for them behind a label that only a kernel with SELinux gives.
const WITHOUT_LABELS: &str = "test-basic*";
/// A script that takes longer hangs: the longest of theirs takes a tenth of it.
const PATIENCE: Duration = Duration::from_secs(240);

/// The extent of a run.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Asked {
    /// Only scripts whose names match, as in 'test-admin-*'
    #[arg(long, value_name = "GLOB")]
    only: Option<String>,
    /// So many at once
    #[arg(long, value_name = "N", default_value_t = 2)]
    jobs: usize,
    /// Run the C tools themselves
    #[arg(long, conflicts_with = "record")]
    theirs: bool,
    /// Take programs that are laid out there as for installation, instead of building them
    #[arg(long, value_name = "DIR", conflicts_with = "theirs")]
    programs: Option<PathBuf>,
    /// Print what the scripts print
    #[arg(long)]
    tell: bool,
    /// Write what passes into the list and into docs/upstream-tests.md
    #[arg(long, conflicts_with = "only")]
    record: bool,
}

/// One script, after its run.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    pub(crate) name: String,
    score: Score,
    /// The exit status was 0 in time.
    success: bool,
    seconds: f64,
    output: String,
}

/// Runs the scripts that are asked for, and says what they reached.
///
/// # Errors
/// A point of the list is lost.
pub(crate) fn run(workspace: &Workspace, asked: &Asked) -> Result<()> {
    let programs = asked.programs.clone().unwrap_or_else(|| workspace.destdir());
    if !asked.theirs && asked.programs.is_none() {
        install::into(workspace, &programs)?;
    }
    let tree = tests_tree(workspace)?;
    let matcher = asked.only.as_deref().unwrap_or("*");
    let names: Vec<String> = scripts(&tree)?.into_iter().filter(|name| matches(matcher, name)).collect();
    ensure!(!names.is_empty(), "no script is named {matcher}");
    let programs = (!asked.theirs).then_some(programs.as_path());
    let ended = run_all(workspace, &tree, programs, &names, asked.jobs, &|ended| {
        if asked.tell {
            println!("{}", ended.output.trim_end());
        }
        println!("{}", ended.told());
    })?;
    let points: u32 = ended.iter().map(|ended| ended.score.passed).sum();
    println!("{} scripts, {points} points", ended.len());
    if asked.theirs {
        return Ok(());
    }
    if asked.record {
        return list::record(workspace, &points_of(&ended));
    }
    let kept = list::read(workspace)?;
    let lost: Vec<String> = ended.iter().filter_map(|ended| ended.lost(&kept)).collect();
    ensure!(lost.is_empty(), "points of {PASSING} are lost: {}", lost.join("; "));
    Ok(())
}

/// Runs the scripts of the list with the programs that are installed already. Gives each with the reason why it fails, if it does.
pub(crate) fn run_list(
    workspace: &Workspace,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Vec<(Ended, Option<String>)>> {
    let tree = tests_tree(workspace)?;
    let kept = list::read(workspace)?;
    let names: Vec<String> = kept.keys().cloned().collect();
    let programs = workspace.destdir();
    let ended = run_all(workspace, &tree, Some(&programs), &names, 2, &|ended| {
        if ended.lost(&kept).is_some() {
            tell(ended.output.trim_end());
        }
        tell(&ended.told());
    })?;
    Ok(ended.into_iter().map(|ended| (ended.clone(), ended.lost(&kept))).collect())
}

impl Ended {
    /// The points that passed.
    pub(crate) fn points(&self) -> u32 {
        self.score.passed
    }

    fn told(&self) -> String {
        let Score { passed, skipped, failed, planned } = self.score;
        let planned = planned.map_or_else(|| "?".to_owned(), |planned| planned.to_string());
        let state = if self.success { "" } else { "; ended early" };
        format!(
            "{}: {passed} of {planned}, {skipped} skipped, {failed} failed in {:.1} s{state}",
            self.name, self.seconds
        )
    }

    /// The reason why it fails: it reached less than the list says.
    fn lost(&self, kept: &Points) -> Option<String> {
        let expected = kept.get(&self.name).copied().unwrap_or_default();
        (self.score.passed < expected)
            .then(|| format!("{}: {} points, and {expected} are on the list", self.name, self.score.passed))
    }
}

fn points_of(ended: &[Ended]) -> BTreeMap<String, (u32, Score)> {
    ended.iter().map(|ended| (ended.name.clone(), (ended.score.passed, ended.score))).collect()
}

/// The tree with the tests, made unless it is there.
#[context("Making the Debian {SUITE} tree with the tests of the C tools")]
fn tests_tree(workspace: &Workspace) -> Result<PathBuf> {
    let (sources, ways) = (apt::sources_of(SUITE)?, apt::ways()?);
    let first = if sources.contains("URIs: https:") { "ca-certificates" } else { "" };
    let dir = workspace.cache.join(format!("peer-{SUITE}-tests"));
    let recipe = format!("{SUITE} minbase {first} {PACKAGES}\n{sources}{ways}");
    Tree { dir: dir.clone(), suite: SUITE, packages: first.to_owned(), recipe }.ensure(|new| {
        let mut prepare = process::as_root("sh");
        prepare.arg(workspace.root.join("xtask/src/fresh/prepare.sh")).arg(new).args([&sources, &ways]);
        process::run(prepare)?;
        terminal::progress("installing the tests of the C tools (about two minutes, 300 MB)");
        let mut install = process::as_root("unshare");
        install.args(["--mount", "sh"]).arg(script(workspace, "install.sh")).arg(new).arg(PACKAGES);
        process::run(install)
    })?;
    Ok(dir)
}

fn script(workspace: &Workspace, name: &str) -> PathBuf {
    workspace.root.join("xtask/src/upstream").join(name)
}

/// The names of the scripts, which all run `ostree`, sorted: the compiled programs and those in JavaScript test the C library.
#[context("Listing the tests in {}", tree.display())]
fn scripts(tree: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(tree.join(TESTS))? {
        let name = entry?.file_name().to_string_lossy().trim_end_matches(".test").to_owned();
        if name.ends_with(".sh") || name.ends_with(".py") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Whether a name matches a pattern in which `*` stands for anything.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    loop {
        if matches(rest, name) {
            return true;
        }
        let mut letters = name.chars();
        if letters.next().is_none() {
            return false;
        }
        name = letters.as_str();
    }
}

/// Runs scripts, some at once, and hands over each as it ends.
fn run_all(
    workspace: &Workspace,
    tree: &Path,
    programs: Option<&Path>,
    names: &[String],
    jobs: usize,
    tell: &(dyn Fn(&Ended) + Sync),
) -> Result<Vec<Ended>> {
    let left = Mutex::new(names.iter());
    let ended = Mutex::new(Vec::new());
    let work = || -> Result<()> {
        loop {
            let next = left.lock().map_or(None, |mut left| left.next());
            let Some(name) = next else { return Ok(()) };
            let one = run_one(workspace, tree, programs, name)?;
            tell(&one);
            if let Ok(mut ended) = ended.lock() {
                ended.push(one);
            }
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(done) => done,
            Err(_) => anyhow::bail!("a thread has ended before its time"),
        })
    })?;
    let mut ended = ended.into_inner().unwrap_or_default();
    ended.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(ended)
}

#[context("Running {name}")]
fn run_one(workspace: &Workspace, tree: &Path, programs: Option<&Path>, name: &str) -> Result<Ended> {
    let description = std::fs::read_to_string(tree.join(TESTS).join(format!("{name}.test")))
        .with_context(|| format!("{name} is no test of this version"))?;
    let command = description
        .lines()
        .find_map(|line| line.strip_prefix("Exec="))
        .context("Its description has no line Exec=")?;
    let scratch = workspace.target.join("upstream").join(name);
    clear(&scratch)?;
    std::fs::create_dir_all(&scratch).with_context(|| format!("Creating {}", scratch.display()))?;
    let mut enter = process::as_root("unshare");
    enter.args([
        "--mount",
        "--propagation=private",
        "--pid",
        "--fork",
        "--kill-child",
        "--net",
        "--ipc",
        "sh",
    ]);
    enter.arg(script(workspace, "enter.sh")).arg(tree).arg(&scratch);
    enter.arg(programs.unwrap_or(Path::new("-"))).arg(PATIENCE.as_secs().to_string());
    enter.arg(if matches(WITHOUT_LABELS, name) { "none" } else { "labels" }).arg(command);
    let begin = Instant::now();
    let finished = process::capture(enter)?;
    let seconds = begin.elapsed().as_secs_f64();
    clear(&scratch)?;
    let score = Score::of(&finished.output);
    Ok(Ended { name: name.to_owned(), score, success: finished.success, seconds, output: finished.output })
}

/// Removes a scratch directory; the roots of deployments in it cannot be changed until that is taken from them.
fn clear(scratch: &Path) -> Result<()> {
    if !scratch.exists() {
        return Ok(());
    }
    let mut unlock = process::as_root("chattr");
    unlock.args(["-R", "-f", "-i"]).arg(scratch);
    // It fails for links, which have no such attribute.
    process::capture(unlock)?;
    tree::remove(scratch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("*", "test-a.sh", true),
            ("test-admin-*", "test-admin-kargs.sh", true),
            ("*-kargs.sh", "test-admin-kargs.sh", true),
            ("test-*-k*", "test-admin-kargs.sh", true),
            ("test", "test-a.sh", false),
            ("test-b*", "test-a.sh", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
