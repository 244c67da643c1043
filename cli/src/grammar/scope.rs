// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command that a command line names, and the options that stand with it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

use clap::{Arg, ArgAction, Command};

use super::refused::{self, Refusal};

/// A command with the commands that it is below, the root first.
pub(super) struct Scope<'a> {
    chain: Vec<&'a Command>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(root: &'a Command) -> Self {
        Self { chain: vec![root] }
    }

    /// Takes the names of commands out of `words`, and gives the rest.
    ///
    /// # Errors
    ///
    /// The word in the place of a command, if there is one, and the rest, where a command is needed and none is named.
    pub(super) fn descend(
        &mut self,
        mut words: Vec<OsString>,
    ) -> Result<Vec<OsString>, (Option<OsString>, Vec<OsString>)> {
        while self.command().has_subcommands() {
            let Some(first) = self.first_word(&words) else {
                // A command that is complete without a subcommand takes none.
                return if self.is_complete() { Ok(words) } else { Err((None, words)) };
            };
            let found = self.find(&words, first).or_else(|| {
                let after = self.first_word_after_globals(&words)?;
                self.find(&words, after)
            });
            match found {
                Some((at, command)) => {
                    words.remove(at);
                    self.chain.push(command);
                }
                None => return Err((Some(words.remove(first)), words)),
            }
        }
        Ok(words)
    }

    fn find(&self, words: &[OsString], at: usize) -> Option<(usize, &'a Command)> {
        Some((at, self.command().find_subcommand(words.get(at)?)?))
    }

    /// The place of the first word without a dash; only at the root a `--` does not end the search.
    fn first_word(&self, words: &[OsString]) -> Option<usize> {
        let end = words.iter().position(|word| word == "--").filter(|_| !self.is_root());
        words.iter().take(end.unwrap_or(words.len())).position(|word| !word.as_bytes().starts_with(b"-"))
    }

    /// As [`Scope::first_word`], without words that are values of options known here.
    fn first_word_after_globals(&self, words: &[OsString]) -> Option<usize> {
        let mut at = 0;
        while let Some(word) = words.get(at) {
            let bytes = word.as_bytes();
            if bytes == b"--" {
                return None;
            }
            if !bytes.starts_with(b"-") {
                return Some(at);
            }
            let name = bytes.strip_prefix(b"--").and_then(|name| std::str::from_utf8(name).ok());
            let takes = name.and_then(|name| self.long(name)).is_some_and(takes_value);
            at += if takes { 2 } else { 1 };
        }
        None
    }

    pub(super) fn is_root(&self) -> bool {
        self.chain.len() == 1
    }

    /// Whether the command does something by itself; the root and groups of commands do not.
    fn is_complete(&self) -> bool {
        !self.is_root() && self.command().is_args_conflicts_with_subcommands_set()
    }

    pub(super) fn command(&self) -> &'a Command {
        self.chain[self.chain.len() - 1]
    }

    /// The names of the commands without the program's.
    pub(super) fn path(&self) -> Vec<String> {
        self.chain.iter().skip(1).map(|command| command.get_name().to_owned()).collect()
    }

    /// The command line that shows the help.
    pub(super) fn help(&self) -> String {
        let names: Vec<&str> = self.chain.iter().map(|command| command.get_name()).collect();
        format!("{} --help", names.join(" "))
    }

    /// The reason why the command is refused.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        refused::command(&self.path())
    }

    /// The option of that long name, also those of commands above that are global.
    pub(super) fn long(&self, name: &str) -> Option<&'a Arg> {
        self.options().find(|arg| {
            arg.get_long() == Some(name)
                || arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
        })
    }

    /// The option of that letter.
    pub(super) fn short(&self, letter: char) -> Option<&'a Arg> {
        self.options().find(|arg| {
            arg.get_short() == Some(letter)
                || arg.get_all_short_aliases().is_some_and(|aliases| aliases.contains(&letter))
        })
    }

    fn options(&self) -> impl Iterator<Item = &'a Arg> {
        let (last, above) = (self.command(), &self.chain[..self.chain.len() - 1]);
        // An own option hides a global one of the same name.
        let above = above.iter().rev().flat_map(|command| command.get_arguments());
        last.get_arguments()
            .chain(above.filter(|arg| arg.is_global_set()))
            .filter(|arg| !arg.is_positional())
            .collect::<Vec<_>>()
            .into_iter()
    }
}

/// Whether the option is followed by a value.
pub(super) fn takes_value(arg: &Arg) -> bool {
    arg.get_action().takes_values()
}

/// Whether each occurrence counts, not only the last.
pub(super) fn is_list(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append | ArgAction::Count)
}
