// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands that others add: `ostree NAME` runs `ostree-NAME` from PATH.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Error, Result};

/// Tells whether PATH has a program for the command `name`.
pub(crate) fn exists(name: &OsStr) -> bool {
    let program = program(name);
    let is_program = |dir: std::path::PathBuf| {
        let found = std::fs::metadata(dir.join(&program));
        found.is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
    };
    !name.is_empty() && env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(is_program))
}

/// Becomes the other program, which gets all words, its own name among them; returns only if that cannot be.
pub(crate) fn run(name: &OsStr, words: &[OsString]) -> Result<()> {
    let program = program(name);
    let error = Command::new(&program).args(words).exec();
    Err(Error::from(error).context(format!("Running {}", program.to_string_lossy())))
}

fn program(name: &OsStr) -> OsString {
    let mut program = OsString::from("ostree-");
    program.push(name);
    program
}
