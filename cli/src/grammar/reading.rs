// SPDX-License-Identifier: MIT OR Apache-2.0
//! The meaning of a command line.

use std::ffi::OsString;

/// A command line that was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Words for clap: the program, the commands, each option in its long form, `--`, the other words.
    Words(Vec<OsString>),
    /// The help of the command with these names, `--help-all` with all that is hidden.
    Help { path: Vec<String>, long: bool, all: bool },
    /// A request for the version.
    Version,
    /// A program of its own for a command of that name, to be called with all words.
    External { name: OsString, words: Vec<OsString> },
}
