// SPDX-License-Identifier: MIT OR Apache-2.0
//! The scenarios, one a file, and the harness that runs them. A scenario that cannot run has failed.

mod automounted_boot;
mod busybox_initrd;
mod dracut_full_boot;
mod expect;
mod menu;
mod missing_target;
mod mixed_with_c;
mod mounted;
mod readonly_boot;
mod second_stateroot;
mod staged_upgrade;
mod system;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow};
use libtest_mimic::{Arguments, Failed, Trial};

use expect::check;

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
        Scenario { name: "automounted_boot", run: automounted_boot::run },
        Scenario { name: "busybox_initrd", run: busybox_initrd::run },
        Scenario { name: "dracut_full_boot", run: dracut_full_boot::run },
        Scenario { name: "missing_target", run: missing_target::run },
        Scenario { name: "mixed_with_c::initramfs", run: mixed_with_c::initramfs },
        Scenario { name: "mixed_with_c::userspace", run: mixed_with_c::userspace },
        Scenario { name: "readonly_boot", run: readonly_boot::run },
        Scenario { name: "second_stateroot", run: second_stateroot::run },
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

    /// A fresh directory with files of these contents, to be laid over a version.
    fn changes(&self, files: &[(&str, &[u8])]) -> Result<PathBuf> {
        let changes = self.directory.join("changes");
        if changes.exists() {
            fs::remove_dir_all(&changes).context("Removing the former changes")?;
        }
        for (file, content) in files {
            let file = changes.join(file);
            fs::create_dir_all(file.parent().unwrap_or(&changes)).context("Creating the changes")?;
            fs::write(&file, content).with_context(|| format!("Writing {}", file.display()))?;
        }
        Ok(changes)
    }

    /// Commits what the ref of the tree holds in `repo`, a path on the disk, with the changes over it; the checksum.
    fn add_version(&self, disk: &Disk, repo: &str, version: &str, changes: &Path) -> Result<String> {
        let reference = &self.prepared()?.commit.reference;
        let ostree = self.environment.program("usr/bin/ostree");
        let arguments =
            [ostree.as_os_str(), repo.as_ref(), reference.as_ref(), version.as_ref(), changes.as_os_str()];
        let said = disk.run(include_str!("../../host/add-version.sh"), &arguments)?;
        let (former, new) = said.trim().split_once('\n').context("two checksums were expected")?;
        check(former != new, "the new version is another commit", &said)?;
        Ok(new.to_owned())
    }
}
