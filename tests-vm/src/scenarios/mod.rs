// SPDX-License-Identifier: MIT OR Apache-2.0
//! The scenarios, one a file, and the harness that runs them. A scenario that cannot run has failed.

mod busybox_initrd;
mod dracut_full_boot;
mod missing_target;
mod staged_upgrade;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, bail};
use libtest_mimic::{Arguments, Failed, Trial};

use crate::budget;
use crate::disk::{self, Disk};
use crate::environment::Environment;
use crate::image::{self, Commit, Tree};

/// A scenario: a name and what it does with a fresh directory.
struct Scenario {
    name: &'static str,
    run: fn(&Bench) -> Result<()>,
}

/// What a scenario works with.
struct Bench {
    environment: Environment,
    /// For its logs and scratch files; kept when it fails.
    directory: PathBuf,
}

/// What all scenarios share: made once, by the first that needs it.
struct Prepared {
    tree: Tree,
    commit: Commit,
    disk: Disk,
}

fn all() -> Vec<Scenario> {
    vec![
        Scenario { name: "busybox_initrd", run: busybox_initrd::run },
        Scenario { name: "dracut_full_boot::sysroot_readonly", run: dracut_full_boot::readonly },
        Scenario { name: "dracut_full_boot::sysroot_writable", run: dracut_full_boot::writable },
        Scenario { name: "missing_target", run: missing_target::run },
        Scenario { name: "staged_upgrade", run: staged_upgrade::run },
    ]
}

/// Runs the scenarios that the arguments (those of `cargo test`) choose.
pub(crate) fn run(arguments: &[String]) -> ExitCode {
    let program = std::iter::once("tests-vm".to_owned());
    let arguments = Arguments::from_iter(program.chain(arguments.iter().cloned()));
    let trials =
        all().into_iter().map(|scenario| Trial::test(scenario.name, move || perform(&scenario))).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if arguments.list {
        return ExitCode::SUCCESS;
    }
    println!("{}", budget::summary());
    if budget::exceeded() {
        eprintln!("error: more boots than the budget allows");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

fn perform(scenario: &Scenario) -> Result<(), Failed> {
    in_fresh_directory(scenario).map_err(|error| format!("{error:#}").into())
}

fn in_fresh_directory(scenario: &Scenario) -> Result<()> {
    let environment = Environment::from_process()?;
    let directory = environment.scratch(&scenario.name.replace("::", "-"))?;
    let bench = Bench { environment, directory: directory.clone() };
    (scenario.run)(&bench)?;
    fs::remove_dir_all(&directory).with_context(|| format!("Removing {}", directory.display()))
}

impl Bench {
    /// The tree, its commit, and a disk that has it deployed.
    fn prepared(&self) -> Result<&'static Prepared> {
        static PREPARED: OnceLock<Result<Prepared>> = OnceLock::new();
        let prepare = || {
            let tree = image::build(&self.environment)?;
            let commit = image::commit(&self.environment, &tree)?;
            let (disk, _) = disk::make(&self.environment, &commit, &self.environment.scratch("disk")?)?;
            Ok(Prepared { tree, commit, disk })
        };
        PREPARED.get_or_init(prepare).as_ref().map_err(|error| anyhow!("{error:#}"))
    }
}

/// Fails with what was seen, unless the condition holds.
fn check(holds: bool, what: &str, seen: impl std::fmt::Debug) -> Result<()> {
    if !holds {
        bail!("{what}; seen: {seen:?}");
    }
    Ok(())
}
