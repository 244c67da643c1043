// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a stage ended, in numbers.

/// The counts of a stage.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) passed: u32,
    pub(super) failed: u32,
    pub(super) skipped: u32,
    /// Notes for the reader: names of tests that failed or did not run.
    pub(super) notes: Vec<String>,
}

impl Outcome {
    pub(super) fn passed(count: u32) -> Self {
        Self { passed: count, ..Self::default() }
    }

    pub(super) fn failed(note: String) -> Self {
        Self { failed: 1, notes: vec![note], ..Self::default() }
    }
}
