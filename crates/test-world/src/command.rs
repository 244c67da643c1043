// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs that have to succeed.

use std::process::{Command, Output};

/// Runs a program.
///
/// # Panics
///
/// It fails.
pub fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Runs a program and gives its standard output, trimmed.
///
/// # Panics
///
/// It fails, or its output is no text.
pub fn capture(command: &mut Command) -> String {
    String::from_utf8(run(command).stdout).unwrap().trim().to_owned()
}
