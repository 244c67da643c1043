// SPDX-License-Identifier: MIT OR Apache-2.0
//! A log is gone through again and again, each time more thoroughly: what matters most comes first, for a row may have time for
//! the first passes only.

use std::ops::Range;

use crate::cuts::{ALL_SUBSETS, Effort};

/// How far a row has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Position {
    /// How often the log was gone through to its end.
    pub pass: usize,
    /// Epochs that are done in this pass.
    pub epoch: usize,
    /// Cuts of the next epoch that are done.
    pub cut: usize,
}

impl Position {
    /// The next pass, from the beginning.
    pub(crate) fn next_pass(self) -> Self {
        Self { pass: self.pass + 1, epoch: 0, cut: 0 }
    }

    /// Returns the words for the states that are known to have been tried.
    pub(crate) fn coverage(self) -> &'static str {
        match self.pass {
            0 => "a part of the switches",
            1 => "prefixes at switches",
            2 => "and all flushes",
            3 => "all prefixes, 2 samples",
            4 => "and 10 samples, subsets of 6 at switches",
            5 => "and 18 samples, subsets of 9 at switches",
            6 => "and 26 samples, subsets of 12 at switches",
            _ => "and more samples",
        }
    }
}

/// The passes behind this one differ in their random numbers alone.
pub(crate) const LAST: usize = 5;

/// The work of a pass at an epoch, which may be one in which a switch is made; `None` if there is nothing.
pub(crate) fn effort(pass: usize, at_switch: bool, whole: Vec<Range<u64>>) -> Option<Effort> {
    let (prefixes, samples, subsets) = match pass {
        0 if !at_switch => return None,
        0 | 1 => (at_switch, 0, 0),
        2 => (true, 2, 0),
        3 => (false, 8, 6),
        4 => (false, 8, 9),
        _ => (false, 8, ALL_SUBSETS),
    };
    Some(Effort { whole, prefixes, samples, subsets: if at_switch { subsets } else { 0 } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_come_first_and_the_last_pass_has_all_subsets() {
        let effort = |pass, at_switch| effort(pass, at_switch, Vec::new());
        assert!(effort(0, false).is_none());
        assert!(effort(0, true).is_some_and(|effort| effort.prefixes));
        for pass in 1..=LAST {
            assert!(effort(pass, false).is_some_and(|effort| effort.subsets == 0), "pass {pass}");
        }
        assert!(effort(LAST, true).is_some_and(|effort| effort.subsets == ALL_SUBSETS));
    }
}
