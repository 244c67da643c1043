// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bends of our program, made around it, that the test must find.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::case::{Case, Step};
use crate::ended::Ended;

/// A mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// `commit` does not hear `--canonical-permissions`.
    DeafToCanonicalPermissions,
    /// `checkout --union-add` replaces files.
    UnionAddReplaces,
    /// A checkout's directory may be written by everybody.
    OpenCheckout,
    /// `prune` always says that it went well.
    PruneNeverFails,
    /// `ls` loses its last line.
    ShortListing,
    /// `refs --delete` deletes nothing.
    RefsStay,
}

/// All mistakes, with their names.
pub(crate) const ALL: [(&str, Mutant); 6] = [
    ("deaf to canonical permissions", Mutant::DeafToCanonicalPermissions),
    ("union-add replaces", Mutant::UnionAddReplaces),
    ("open checkout", Mutant::OpenCheckout),
    ("prune never fails", Mutant::PruneNeverFails),
    ("short listing", Mutant::ShortListing),
    ("refs stay", Mutant::RefsStay),
];

impl Mutant {
    /// The words that our program gets.
    pub(crate) fn bend(self, mut words: Vec<String>) -> Vec<String> {
        let command = words.get(1).cloned().unwrap_or_default();
        match self {
            Self::DeafToCanonicalPermissions if command == "commit" => {
                words.retain(|word| word != "--canonical-permissions");
            }
            Self::UnionAddReplaces if command == "checkout" => {
                for word in words.iter_mut().filter(|word| *word == "--union-add") {
                    *word = "--union".to_owned();
                }
            }
            Self::RefsStay if command == "refs" => words.retain(|word| word != "--delete"),
            _ => {}
        }
        words
    }

    /// Whether the case has a command that the mistake changes.
    pub(crate) fn concerns(self, case: &Case) -> bool {
        let (command, option) = match self {
            Self::DeafToCanonicalPermissions => ("commit", "--canonical-permissions"),
            Self::UnionAddReplaces => ("checkout", "--union-add"),
            Self::OpenCheckout => ("checkout", ""),
            Self::PruneNeverFails => ("prune", ""),
            Self::ShortListing => ("ls", ""),
            Self::RefsStay => ("refs", "--delete"),
        };
        let calls = case.steps.iter().filter_map(|step| match step {
            Step::Run(call) if call.command() == command => Some(call),
            _ => None,
        });
        calls.into_iter().any(|call| option.is_empty() || call.has(option))
    }

    /// Changes what the program has left.
    pub(crate) fn after(self, dir: &Path, words: &[String], ended: &mut Ended) {
        let command = words.get(1).map_or("", String::as_str);
        match self {
            Self::OpenCheckout if command == "checkout" && ended.good => {
                let destination = words.last().map(|word| dir.join(word)).unwrap_or_default();
                _ = fs::set_permissions(destination, fs::Permissions::from_mode(0o777));
            }
            Self::PruneNeverFails if command == "prune" => ended.good = true,
            Self::ShortListing if command == "ls" => {
                let count = ended.output.lines().count();
                ended.output = ended.output.lines().take(count.saturating_sub(1)).collect();
            }
            _ => {}
        }
    }
}
