// SPDX-License-Identifier: MIT OR Apache-2.0
//! Running programs of the host, with errors that name the program and quote what it said.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

/// Lines of a failed program's output that an error quotes.
const QUOTED_LINES: usize = 15;

/// Runs the command, output kept for the error only.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    output(command).map(drop)
}

/// Runs the command and returns its standard output as text.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let name = name(command);
    let done = command.stdin(Stdio::null()).output().with_context(|| missing(&name))?;
    if !done.status.success() {
        let Output { status, stdout, stderr } = done;
        let said = [stdout, stderr].concat();
        bail!("{name} failed ({status}):\n{}", last_lines(&String::from_utf8_lossy(&said), QUOTED_LINES));
    }
    String::from_utf8(done.stdout).with_context(|| format!("Reading the output of {name}"))
}

/// Runs the command with all its output in the file `log`; an error quotes the end of it and names the file.
pub(crate) fn run_logged(command: &mut Command, log: &Path) -> Result<()> {
    let name = name(command);
    let file = File::create(log).with_context(|| format!("Creating {}", log.display()))?;
    let errors = file.try_clone().with_context(|| format!("Opening {} again", log.display()))?;
    let status =
        command.stdin(Stdio::null()).stdout(file).stderr(errors).status().with_context(|| missing(&name))?;
    if !status.success() {
        let said = std::fs::read(log).unwrap_or_default();
        let quote = last_lines(&String::from_utf8_lossy(&said), QUOTED_LINES);
        bail!("{name} failed ({status}), see {}:\n{quote}", log.display());
    }
    Ok(())
}

/// The last `count` lines of a text.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let start = lines.len().saturating_sub(count);
    lines.get(start..).unwrap_or_default().join("\n")
}

fn name(command: &Command) -> String {
    Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn missing(name: &str) -> String {
    format!("Running {name} (is it installed?)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_program_and_quotes_it() {
        let error = run(Command::new("sh").args(["-c", "echo because >&2; exit 3"])).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("sh failed") && text.contains("because"), "{text}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let text = format!("{:#}", run(&mut Command::new("no-such-program-here")).unwrap_err());
        assert!(text.contains("no-such-program-here (is it installed?)"), "{text}");
    }

    #[test]
    fn last_lines_of_short_and_long_texts() {
        assert_eq!(last_lines("a\nb\nc\n", 2), "b\nc");
        assert_eq!(last_lines("a", 5), "a");
        assert_eq!(last_lines("", 5), "");
    }
}
