// SPDX-License-Identifier: MIT OR Apache-2.0
//! Running programs of the host, with errors that quote what they said.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Runs a program that must succeed, and gives what it printed.
pub(crate) fn run(program: &str, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<String> {
    let mut command = Command::new(program);
    output(command.args(arguments))
}

/// The same for a command that is put together already.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = format!("{command:?}").replace('"', "");
    let done = command.stdin(Stdio::null()).output().with_context(|| format!("Running {shown}"))?;
    let said = String::from_utf8_lossy(&done.stderr);
    if !done.status.success() {
        bail!("{shown}: {}: {}", done.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&done.stdout).trim_end().to_owned())
}
