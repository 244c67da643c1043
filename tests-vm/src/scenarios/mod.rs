// SPDX-License-Identifier: MIT OR Apache-2.0
//! The scenarios, one a file, and the harness that runs them. A scenario that cannot run has failed.

mod automounted_boot;
mod busybox_initrd;
mod dracut_full_boot;
mod expect;
mod loaders;
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
use crate::small;

/// Asks for the scenarios that are beyond the boot budget, too.
const ALL: &str = "--all";

/// Asks for these alone.
const BEYOND: &str = "--beyond";

/// A scenario: a name and what it does with a fresh directory.
struct Scenario {
    name: &'static str,
    run: fn(&Bench) -> Result<()>,
    /// Beyond the boot budget: only on request.
    extra: bool,
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

fn usual(name: &'static str, run: fn(&Bench) -> Result<()>) -> Scenario {
    Scenario { name, run, extra: false }
}

fn extra(name: &'static str, run: fn(&Bench) -> Result<()>) -> Scenario {
    Scenario { name, run, extra: true }
}

fn all() -> Vec<Scenario> {
    vec![
        usual("automounted_boot", automounted_boot::run),
        usual("busybox_initrd", busybox_initrd::run),
        usual("dracut_full_boot", dracut_full_boot::run),
        usual("loaders::extlinux", loaders::extlinux),
        extra("loaders::full::extlinux", loaders::full::extlinux),
        extra("loaders::full::grub_bios", loaders::full::grub_bios),
        extra("loaders::full::grub_bios_on_root", loaders::full::grub_bios_on_root),
        extra("loaders::full::grub_entries", loaders::full::grub_entries),
        extra("loaders::full::uboot", loaders::full::uboot),
        usual("loaders::grub_bios", loaders::grub_bios),
        usual("loaders::grub_bios_on_root", loaders::grub_bios_on_root),
        usual("loaders::grub_efi", loaders::grub_efi),
        usual("loaders::grub_entries", loaders::grub_entries),
        extra("loaders::migration", loaders::migration),
        extra("loaders::mounted_esp", loaders::mounted_esp),
        usual("loaders::uboot", loaders::uboot),
        usual("missing_target", missing_target::run),
        usual("mixed_with_c::initramfs", mixed_with_c::initramfs),
        usual("mixed_with_c::userspace", mixed_with_c::userspace),
        usual("readonly_boot", readonly_boot::run),
        usual("second_stateroot", second_stateroot::run),
        usual("staged_upgrade", staged_upgrade::run),
    ]
}

/// Runs the scenarios that the arguments (those of `cargo test`) choose.
pub(crate) fn run(arguments: &[String]) -> ExitCode {
    let asked = |option: &str| arguments.iter().any(|argument| argument == option);
    let (everything, beyond) = (asked(ALL), asked(BEYOND));
    let program = std::iter::once("tests-vm".to_owned());
    let others = arguments.iter().filter(|argument| ![ALL, BEYOND].contains(&argument.as_str())).cloned();
    let arguments = Arguments::from_iter(program.chain(others));
    let scenarios = all().into_iter().filter(|scenario| everything || scenario.extra == beyond);
    let trials = scenarios.map(|scenario| Trial::test(scenario.name, move || perform(&scenario))).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if arguments.list {
        return ExitCode::SUCCESS;
    }
    println!("{}", budget::summary());
    if !everything && !beyond && budget::exceeded() {
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

    /// Versions 1 and 2 of a system that boots in seconds.
    fn small(&self) -> Result<&'static [Commit]> {
        static SMALL: OnceLock<Result<Vec<Commit>>> = OnceLock::new();
        let commit = || {
            let tree = image::build(&self.environment)?;
            small::commit(&self.environment, &tree, &self.environment.scratch("small")?, &["1", "2"])
        };
        SMALL.get_or_init(commit).as_deref().map_err(|error| anyhow!("{error:#}"))
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
