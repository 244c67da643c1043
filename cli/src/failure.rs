// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a failure is told.

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use anyhow::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// A check has found something, which is told already: no error, and an exit code of its own.
#[derive(Debug, thiserror::Error)]
#[error("Something is not as it should be")]
pub(crate) struct Found;

/// The exit code of [`Found`].
const FOUND: u8 = 2;

/// The exit code, after the error was printed.
pub(crate) fn exit_code(done: Result<(), Error>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) if error.is::<Found>() => ExitCode::from(FOUND),
        Err(error) => {
            let todo = if sysroot::is_denied(&error) { "; try it as root" } else { "" };
            eprintln!("error: {}{todo}", one_line(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// Rust adds the number to the text of a system error; nobody needs it there.
fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(" (os error ") {
        out.push_str(before);
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    out.push_str(rest);
    out.replace('\n', " ")
}

/// Help goes to stdout and is no error; anything else is one line.
pub(crate) fn of_arguments(error: &clap::Error, words: &[OsString]) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return match error.print() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => exit_code(Err(error.into())),
        };
    }
    let text = match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::UnknownArgument, Some(ContextValue::String(word))) if !word.starts_with('-') => {
            format!("Unexpected argument {word}")
        }
        (ErrorKind::ValueValidation, Some(ContextValue::String(word))) if word == "<INDEX>" => {
            let index = error.get(ContextKind::InvalidValue).map(ToString::to_string).unwrap_or_default();
            format!("Invalid index: {index}: `ostree admin status` lists the deployments from 0 on")
        }
        (ErrorKind::InvalidValue, Some(ContextValue::String(word))) if matches!(error.get(ContextKind::InvalidValue), Some(ContextValue::String(value)) if value.is_empty()) =>
        {
            let option = word.split_whitespace().next().unwrap_or(word);
            format!("Missing argument for {option}; give it a value")
        }
        (ErrorKind::UnknownArgument, Some(argument)) => format!("Unknown option {argument}"),
        (ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand, _) => {
            "No command specified; see --help".to_owned()
        }
        (ErrorKind::InvalidUtf8, _) => {
            let word = words.iter().find(|word| word.to_str().is_none()).cloned().unwrap_or_default();
            format!("Invalid UTF-8 in argument {word:?}; names and values are text")
        }
        _ => {
            let text = error.to_string();
            let text = text.strip_prefix("error: ").unwrap_or(&text);
            // The first paragraph says what is wrong; usage and hints follow.
            text.split("\n\n").next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
        }
    };
    eprintln!("error: {text}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_system_errors_go() {
        assert_eq!(one_line("a: No such file (os error 2): b (os error 13)"), "a: No such file: b");
        assert_eq!(one_line("a\nb"), "a b");
    }
}
