// SPDX-License-Identifier: MIT OR Apache-2.0
//! Words that are no options: those that are missing, and those that a command has no use for.

use std::ffi::OsString;

use clap::{Arg, ArgAction, Command};

use super::fault::Fault;
use super::reader::Read;
use super::scope::Scope;

/// The phrases of the C tools for missing words, where they do not name these in the same way.
const MISSING: &[(&str, &str)] = &[
    ("admin deploy", "REF/REV must be specified"),
    ("cat", "A COMMIT and at least one PATH argument are required"),
    ("checkout", "COMMIT must be specified"),
    ("checksum", "A filename must be given"),
    ("log", "A rev argument is required"),
    ("ls", "An COMMIT argument is required"),
    ("pull-local", "DESTINATION must be specified (SRC_REPO, where to copy from)"),
    ("reset", "A REF and COMMIT argument is required"),
    ("show", "An object argument is required"),
];

/// Commands that take no more words than they use.
const STRICT: &[(&str, &str)] = &[("admin unlock", "This command takes no extra arguments")];

/// Gives the words that the command uses.
///
/// # Errors
///
/// Words are missing, or there are some where the command takes none.
pub(super) fn check(scope: &Scope<'_>, read: &Read) -> Result<Vec<OsString>, Fault> {
    let path = scope.path().join(" ");
    let fault = |text: String| Fault::Words { text, help: scope.help() };
    let given = read.others.len();
    let command = scope.command();
    let required: Vec<&Arg> = command.get_positionals().filter(|arg| arg.is_required_set()).collect();
    if given < required.len() {
        let names: Vec<String> = required.iter().map(|arg| name(arg)).collect();
        let text = MISSING.iter().find(|(of, _)| *of == path).map(|(_, text)| (*text).to_owned());
        return Err(fault(text.unwrap_or_else(|| format!("{} must be specified", names.join(" and ")))));
    }
    let used = most_words(command).unwrap_or(given);
    if let (true, Some((_, text))) = (given > used, STRICT.iter().find(|(of, _)| *of == path)) {
        return Err(fault((*text).to_owned()));
    }
    Ok(read.others.iter().take(used).cloned().collect())
}

/// The number of words that the command uses at most, if there is a bound.
fn most_words(command: &Command) -> Option<usize> {
    command.get_positionals().try_fold(0, |sum, arg| {
        let is_list = matches!(arg.get_action(), ArgAction::Append);
        if is_list { None } else { Some(sum + 1) }
    })
}

/// The name of a word, as help shows it.
fn name(arg: &Arg) -> String {
    match arg.get_value_names() {
        Some([name, ..]) => name.to_string(),
        _ => arg.get_id().as_str().to_uppercase(),
    }
}
