// SPDX-License-Identifier: MIT OR Apache-2.0
//! The end of a program.

/// The words of a program at its end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ended {
    /// It exited with 0.
    pub(crate) good: bool,
    /// It was ended by a signal, or took too long.
    pub(crate) crashed: bool,
    /// Standard output.
    pub(crate) output: String,
    /// Standard error.
    pub(crate) said: String,
}
