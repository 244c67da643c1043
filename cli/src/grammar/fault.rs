// SPDX-License-Identifier: MIT OR Apache-2.0
//! Faults of a command line, with the key phrases of the C tools.

use std::ffi::OsString;

use super::refused::Refusal;
use super::scope::Scope;

/// A command line that cannot be followed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("No command specified; see {help}")]
    NoCommand { help: String },
    #[error("No \"{group}\" subcommand specified; see {help}")]
    NoSubcommand { group: String, help: String },
    #[error("Unknown command '{name}'; see {help}")]
    UnknownCommand { name: String, help: String },
    #[error("Unknown \"{group}\" subcommand '{name}'; see {help}")]
    UnknownSubcommand { group: String, name: String, help: String },
    #[error("Unknown option {word}; see {help}")]
    UnknownOption { word: String, help: String },
    #[error("Missing argument for {0}; give it a value")]
    NoValue(String),
    #[error("Error parsing option {0}; only one option of a bundle takes the next word: write it apart")]
    SecondValue(String),
    #[error("Cannot parse integer value “{text}” for {option}; give digits only")]
    NoInteger { text: String, option: String },
    #[error("Integer value “{text}” for {option} out of range; it has 32 bits")]
    OutOfRange { text: String, option: String },
    /// Words that the command needs are missing, or it takes none.
    #[error("{text}; see {help}")]
    Words { text: String, help: String },
    #[error("{0}")]
    Refused(Refusal),
}

/// The fault of a command line in which `name` stands in the place of a command.
pub(super) fn no_command(scope: &Scope<'_>, name: Option<OsString>) -> Fault {
    let (group, help) = (scope.path().join(" "), scope.help());
    let name = name.map(|name| name.to_string_lossy().into_owned());
    match (scope.is_root(), name) {
        (true, None) => Fault::NoCommand { help },
        (true, Some(name)) => Fault::UnknownCommand { name, help },
        (false, None) => Fault::NoSubcommand { group, help },
        (false, Some(name)) => Fault::UnknownSubcommand { group, name, help },
    }
}
