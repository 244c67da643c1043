// SPDX-License-Identifier: MIT OR Apache-2.0
//! Running other programs: shown to whoever watches, else kept and printed only when they fail.

use std::io::{BufRead, BufReader};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::terminal;

/// How a program ended and what it said on both of its outputs.
pub(crate) struct Finished {
    /// It exited with status 0.
    pub(crate) success: bool,
    /// Standard output and standard error, as they came.
    pub(crate) output: String,
}

/// A command that speaks plain English and never asks.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env("LC_ALL", "C.UTF-8").stdin(std::process::Stdio::null());
    if !terminal::watched() {
        command.env("TERM", "dumb");
    }
    command
}

/// `cargo` as it was called, always with the committed lock file.
pub(crate) fn cargo(verb: &str) -> Command {
    let mut command = command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args([verb, "--locked"]);
    if terminal::watched() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    command
}

/// The command line as one would type it.
pub(crate) fn line_of(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

/// Runs to the end; output is shown line by line if somebody watches.
pub(crate) fn capture(command: Command) -> Result<Finished> {
    listen(command, |_| ())
}

/// As `capture`; `hear` is given each line when it comes.
pub(crate) fn listen(mut command: Command, mut hear: impl FnMut(&str)) -> Result<Finished> {
    let line = line_of(&command);
    let (reader, writer) = std::io::pipe().context("Making a pipe")?;
    command.stdout(writer.try_clone().context("Copying a pipe")?).stderr(writer);
    let mut child = command.spawn().with_context(|| format!("Starting {line}"))?;
    // Our copies of the writing end live in the command; the pipe only ends when they are gone.
    drop(command);
    let mut output = String::new();
    for bytes in BufReader::new(reader).split(b'\n') {
        let bytes = bytes.with_context(|| format!("Reading the output of {line}"))?;
        let text = String::from_utf8_lossy(&bytes);
        if terminal::watched() {
            eprintln!("{text}");
        }
        hear(&text);
        output.push_str(&text);
        output.push('\n');
    }
    let status = child.wait().with_context(|| format!("Waiting for {line}"))?;
    Ok(Finished { success: status.success(), output })
}

/// Runs to the end; a failure is an error, and its output is printed if nobody saw it.
pub(crate) fn run(command: Command) -> Result<()> {
    let line = line_of(&command);
    let finished = capture(command)?;
    if !finished.success {
        if !terminal::watched() {
            eprint!("{}", finished.output);
        }
        bail!("{line} failed");
    }
    Ok(())
}

/// Runs with our own terminal, for programs that talk to a person.
pub(crate) fn interactive(mut command: Command) -> Result<()> {
    let line = line_of(&command);
    let status =
        command.stdin(std::process::Stdio::inherit()).status().with_context(|| format!("Starting {line}"))?;
    if !status.success() {
        bail!("{line} failed: {status}");
    }
    Ok(())
}

/// The standard output of a program that must succeed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let line = line_of(command);
    let output = command.output().with_context(|| format!("Starting {line}"))?;
    if !output.status.success() {
        bail!("{line} failed: {}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    String::from_utf8(output.stdout).with_context(|| format!("Reading the output of {line}"))
}

/// Whether a program can be found in `PATH`.
pub(crate) fn found(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// A command with the rights of root: itself as root, through sudo otherwise.
pub(crate) fn as_root(program: &str) -> Command {
    if rustix::process::geteuid().is_root() {
        return command(program);
    }
    let mut sudo = command("sudo");
    sudo.arg(program);
    sudo
}
