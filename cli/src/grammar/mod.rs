// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line as the C tools read it, turned into words that clap reads to the same effect.
//!
//! The C tools take the command out of the words first, wherever it stands, and give the rest to GLib's `GOption`.
//! Scripts have come to need what follows from that. The layer reads the words by these rules, from clap's own
//! definition of commands and options, and gives out plain data: no command is run, no file is read.
//!
//! - The first word without a dash is the command, and again the next one where a command has subcommands. Before it, an
//!   option has its value only as `--option=VALUE`. (A global option may have it as a word of its own, as long as no
//!   command has the name of that word.)
//! - A long option stands in full. A value that is a word of its own is taken whatever it begins with.
//! - Short options stand in bundles, of which one may take a value: the next word.
//! - A flag takes `=VALUE` and ignores it. The last of a repeated scalar counts.
//! - `--` ends the options. Words that a command has no use for are ignored.
//!
//! Source: `glib/goption.c` of GLib 2.84, and the behaviour of ostree 2025.2.

mod fault;
mod line;
mod number;
mod reader;
mod reading;
pub(crate) mod refused;
mod scope;
mod surplus;
#[cfg(test)]
mod tests;

pub(crate) use line::read;
pub(crate) use reading::Reading;
