// SPDX-License-Identifier: MIT OR Apache-2.0
//! A difference between the two programs, at one step.

use crate::case::Call;

/// The part that differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Exit status: 0 or not.
    Status,
    /// A panic, a signal, or no end.
    Crash,
    /// Standard output.
    Output,
    /// Something on the disk.
    Disk,
    /// The check of a repository by the other program.
    Fsck,
}

/// A difference at one step.
#[derive(Debug, Clone)]
pub(crate) struct Difference {
    /// The call after which it was seen.
    pub(crate) call: Call,
    /// The part.
    pub(crate) part: Part,
    /// Lines that only ours has, with `-`, and that only the peer has, with `+`.
    pub(crate) lines: Vec<String>,
    /// Standard error of ours and of the peer.
    pub(crate) said: [String; 2],
    /// Neither exited with 0.
    pub(crate) both_failed: bool,
    /// The mode of the repository, by its configuration.
    pub(crate) mode: String,
}
