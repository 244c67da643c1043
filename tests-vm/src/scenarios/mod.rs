// SPDX-License-Identifier: MIT OR Apache-2.0
//! The scenarios, one a file, and the harness that runs them. A scenario that cannot run has failed.

mod automounted_boot;
mod bench;
mod busybox_initrd;
mod dracut_full_boot;
mod expect;
mod loaders;
mod menu;
mod missing_target;
mod mixed_with_c;
mod mounted;
mod newer_kernel;
mod readonly_boot;
mod second_stateroot;
mod staged_upgrade;
mod system;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result};
use libtest_mimic::{Arguments, Failed, Trial};

use bench::Bench;

use crate::budget;
use crate::environment::Environment;

/// Asks for the scenarios that are beyond the boot budget, instead of the others.
const BEYOND: &str = "--beyond";

/// Comes before a pattern that the names have to match.
const ONLY: &str = "--only";

/// A scenario: a name and what it does with a fresh directory.
struct Scenario {
    name: &'static str,
    run: fn(&Bench) -> Result<()>,
    /// Beyond the boot budget: only on request.
    extra: bool,
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
        usual("newer_kernel", newer_kernel::run),
        usual("readonly_boot", readonly_boot::run),
        usual("second_stateroot", second_stateroot::run),
        usual("staged_upgrade", staged_upgrade::run),
    ]
}

/// Runs the scenarios that the arguments choose: ours, and those of `cargo test`.
pub(crate) fn run(arguments: &[String]) -> ExitCode {
    let mut beyond = false;
    let mut only: Option<&str> = None;
    let mut others = vec!["tests-vm".to_owned()];
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            BEYOND => beyond = true,
            ONLY => only = words.next().map(String::as_str),
            _ => others.push(word.clone()),
        }
    }
    let arguments = Arguments::from_iter(others);
    let scenarios: Vec<Scenario> = all()
        .into_iter()
        .filter(|scenario| scenario.extra == beyond && only.is_none_or(|only| matches(only, scenario.name)))
        .collect();
    if scenarios.is_empty() {
        eprintln!("error: no scenario matches {}", only.unwrap_or_default());
        return ExitCode::FAILURE;
    }
    let trials = scenarios.into_iter().map(|scenario| Trial::test(scenario.name, move || perform(&scenario)));
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    if arguments.list {
        return ExitCode::SUCCESS;
    }
    println!("{}", budget::summary());
    if !beyond && budget::exceeded() {
        eprintln!("error: more boots than the budget allows");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

/// Whether a name is what a pattern with `*` stands for.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((begin, rest)) => {
            let Some(name) = name.strip_prefix(begin) else { return false };
            (0..=name.len()).any(|start| name.get(start..).is_some_and(|end| matches(rest, end)))
        }
    }
}

/// Runs a scenario and says at once what came of it. Those beyond the boot budget are timed, so they run one at a time.
fn perform(scenario: &Scenario) -> Result<(), Failed> {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = scenario.extra.then(|| ALONE.lock().unwrap_or_else(PoisonError::into_inner));
    // The systems that all of them share are not in that time. When they cannot be made, the scenario says so.
    if let (true, Ok(environment)) = (scenario.extra, Environment::from_process()) {
        let _ = Bench { environment, directory: PathBuf::new() }.prepared();
    }
    let start = Instant::now();
    let done = in_fresh_directory(scenario);
    let result = if done.is_ok() { "passed" } else { "FAILED" };
    let line = format!("scenario {}: {result} in {:.1} s", scenario.name, start.elapsed().as_secs_f64());
    match done {
        Ok(()) => {
            println!("{line}");
            Ok(())
        }
        Err(error) => {
            println!("{line}: {error:#}");
            Err(format!("{error:#}").into())
        }
    }
}

fn in_fresh_directory(scenario: &Scenario) -> Result<()> {
    let environment = Environment::from_process()?;
    let directory = environment.scratch(&scenario.name.replace("::", "-"))?;
    let bench = Bench { environment, directory: directory.clone() };
    (scenario.run)(&bench)?;
    fs::remove_dir_all(&directory).with_context(|| format!("Removing {}", directory.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_names() {
        for (pattern, name, expected) in [
            ("loaders::full::uboot", "loaders::full::uboot", true),
            ("loaders::full", "loaders::full::uboot", false),
            ("loaders::full::*", "loaders::full::uboot", true),
            ("*", "staged_upgrade", true),
            ("*grub*root", "loaders::full::grub_bios_on_root", true),
            ("*grub*root", "loaders::full::grub_bios", false),
            ("*::migration", "loaders::migration", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
