// SPDX-License-Identifier: MIT OR Apache-2.0
//! Trials of a harness that says which of them were skipped, and why.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

use crate::is_root;
use crate::peer::Release;

/// A trial that runs everywhere.
pub fn alone(name: impl Into<String>, test: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}

/// A trial that needs root; ignored for any other user.
pub fn as_root(name: impl Into<String>, test: impl FnOnce() + Send + 'static) -> Trial {
    let run = |()| {
        test();
        Ok(())
    };
    with_root(Some(()), &name.into(), "", run)
}

/// A trial that needs root, beside the `ostree` of a release of the C tools; ignored without one of them.
pub fn beside(release: Release, name: impl Into<String>, test: impl FnOnce(&Path) + Send + 'static) -> Trial {
    let run = move |peer: PathBuf| {
        test(&peer);
        Ok(())
    };
    with_root(release.program(), &name.into(), release.program, run)
}

/// A trial that needs root, and something else that there may be none of.
///
/// The need stands in the name, since the runner prints `ignored` only.
pub(crate) fn with_root<T: Send + 'static>(
    needed: Option<T>,
    name: &str,
    need: &str,
    run: impl FnOnce(T) -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let (needed, need) = if is_root() { (needed, need) } else { (None, "root") };
    match needed {
        Some(needed) => Trial::test(name, move || run(needed)),
        None => {
            let missing = Failed::from(format!("it needs {need}"));
            Trial::test(format!("{name} (needs {need})"), || Err(missing)).with_ignored_flag(true)
        }
    }
}

/// Runs the trials that the command line asks for.
pub fn run_trials(trials: Vec<Trial>) -> ExitCode {
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// As [`run_trials`], one after the other: each mounts file systems of its own.
pub fn run_trials_in_turn(trials: Vec<Trial>) -> ExitCode {
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    libtest_mimic::run(&arguments, trials).exit_code()
}
