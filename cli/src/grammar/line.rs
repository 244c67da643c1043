// SPDX-License-Identifier: MIT OR Apache-2.0
//! A command line as a whole: its command, then its options and words.

use std::ffi::{OsStr, OsString};

use clap::Command;

use super::fault::{self, Fault};
use super::reader::{self, Read};
use super::reading::Reading;
use super::scope::Scope;
use super::surplus;

/// The option of `ostree admin` that stands in the place of a command.
const INSTEAD_OF_COMMAND: &str = "print_current_dir";

/// Reads a command line, whose first word is the program's name.
///
/// `is_external` tells whether there is a program for a command that `root` does not have.
///
/// # Errors
///
/// A command or an option is unknown, refused, or lacks something.
pub(crate) fn read(
    root: &Command,
    line: &[OsString],
    is_external: &dyn Fn(&OsStr) -> bool,
) -> Result<Reading, Fault> {
    let (program, words) = match line.split_first() {
        Some((program, words)) => (program.clone(), words.to_vec()),
        None => (root.get_name().into(), Vec::new()),
    };
    let mut scope = Scope::new(root);
    let rest = match scope.descend(words.clone()) {
        Ok(rest) => rest,
        Err((Some(name), _)) if scope.is_root() && is_external(&name) => {
            return Ok(Reading::External { name, words });
        }
        Err((name, rest)) => {
            // Help and the version do not need a command, and an option may be the fault.
            let read = reader::read(&scope, rest)?;
            return match read.request {
                Some(request) => Ok(request.of(&scope)),
                None if read.version => Ok(Reading::Version),
                None if name.is_none() && read.has(INSTEAD_OF_COMMAND) => {
                    Ok(words_of(program, &scope, read, Vec::new()))
                }
                None => Err(scope.refusal().map_or_else(|| fault::no_command(&scope, name), Fault::Refused)),
            };
        }
    };
    let read = reader::read(&scope, rest)?;
    if let Some(request) = read.request {
        return Ok(request.of(&scope));
    }
    if read.version {
        return Ok(Reading::Version);
    }
    if let Some(refusal) = scope.refusal().or_else(|| read.refusal.clone()) {
        return Err(Fault::Refused(refusal));
    }
    let others = surplus::check(&scope, &read)?;
    Ok(words_of(program, &scope, read, others))
}

fn words_of(program: OsString, scope: &Scope<'_>, read: Read, others: Vec<OsString>) -> Reading {
    let mut words = vec![program];
    words.extend(scope.path().iter().map(OsString::from));
    words.extend(read.options.into_iter().map(|option| option.word));
    if !others.is_empty() {
        words.push("--".into());
        words.extend(others);
    }
    Reading::Words(words)
}
