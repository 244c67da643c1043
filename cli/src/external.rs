// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands that others add: `ostree NAME` runs `ostree-NAME` from PATH.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Result, anyhow, bail};

/// Becomes the other program; returns only if that cannot be.
pub(crate) fn run(words: &[OsString]) -> Result<()> {
    let Some((name, args)) = words.split_first() else { bail!("No command specified") };
    let mut program = OsString::from("ostree-");
    program.push(name);
    let error = Command::new(&program).args(args).exec();
    let name = name.to_string_lossy();
    Err(match error.kind() {
        ErrorKind::NotFound => anyhow!("Unknown command '{name}'; see ostree --help"),
        _ => anyhow::Error::from(error).context(format!("Running {}", program.to_string_lossy())),
    })
}
