// SPDX-License-Identifier: MIT OR Apache-2.0
//! Counting the points of a script that speaks the Test Anything Protocol.

/// The points of one script.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Score {
    /// Points that passed and were not skipped.
    pub(super) passed: u32,
    /// Points that the script left out.
    pub(super) skipped: u32,
    /// Points that the script says have failed.
    pub(super) failed: u32,
    /// The number of points that it has announced.
    pub(super) planned: Option<u32>,
}

impl Score {
    /// Reads the output of a script. A point counts once, in the form `ok DESCRIPTION`; with the directive `# SKIP` or `# TODO` it
    /// counts as skipped.
    pub(super) fn of(output: &str) -> Self {
        let mut score = Self::default();
        for line in output.lines() {
            let word = |word: &str| {
                line.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
            };
            if word("not ok") {
                score.failed += 1;
            } else if word("ok") {
                let directive = line.split_once('#').map(|(_, text)| text.trim_start().to_ascii_uppercase());
                let is_left =
                    directive.is_some_and(|text| text.starts_with("SKIP") || text.starts_with("TODO"));
                *(if is_left { &mut score.skipped } else { &mut score.passed }) += 1;
            } else if let Some(planned) = line.strip_prefix("1..") {
                let digits = planned.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
                score.planned = digits.parse().ok();
            }
        }
        score
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points() {
        let score = Score::of(
            "1..5\nok one\n# ok no point\nok # SKIP no attributes\nok 3 three # skip too\nnot ok four\nokay\nok\nok two # SKIPPED\n",
        );
        assert_eq!(score, Score { passed: 2, skipped: 3, failed: 1, planned: Some(5) });
        assert_eq!(Score::of("1..0 # SKIP no gjs\n").planned, Some(0));
        assert_eq!(Score::of(""), Score::default());
    }
}
