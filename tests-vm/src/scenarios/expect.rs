// SPDX-License-Identifier: MIT OR Apache-2.0
//! Expectations of a section of a guest's report; each failure says what was seen instead.

use std::fmt::Debug;

use anyhow::{Result, bail};

use crate::report::Report;

/// Fails with what was seen, unless the condition holds.
pub(super) fn check(holds: bool, what: &str, seen: impl Debug) -> Result<()> {
    if !holds {
        bail!("{what}; seen: {seen:?}");
    }
    Ok(())
}

/// The commands succeed.
pub(super) fn ok(report: &Report, sections: &[&str]) -> Result<()> {
    for name in sections {
        let section = report.section(name)?;
        check(section.ok(), &format!("{name} succeeds"), section)?;
    }
    Ok(())
}

/// All that the command says is this text.
pub(super) fn text(report: &Report, section: &str, expected: &str) -> Result<()> {
    let found = report.section(section)?;
    check(found.text() == expected, &format!("{section} says {expected:?}"), found)
}

/// These words are in what the command says.
pub(super) fn words(report: &Report, section: &str, expected: &str) -> Result<()> {
    let found = report.section(section)?;
    check(found.text().contains(expected), &format!("{section} says something of {expected:?}"), found)
}

/// Each of these is a line of what the command says.
pub(super) fn lines(report: &Report, section: &str, expected: &[&str]) -> Result<()> {
    let found = report.section(section)?;
    for expected in expected {
        let holds = found.lines.iter().any(|line| line == expected);
        check(holds, &format!("{section} has the line {expected:?}"), found)?;
    }
    Ok(())
}

/// For the tests of checks: a good report passes, and none of these changes of it does.
#[cfg(test)]
pub(super) fn assert_each_change_fails(
    good: &str,
    verdict: impl Fn(&Report) -> Result<()>,
    changes: &[(&str, &str)],
) {
    verdict(&Report::parse(good)).unwrap();
    for (from, to) in changes {
        assert!(good.contains(from), "{from:?}");
        assert!(verdict(&Report::parse(&good.replacen(from, to, 1))).is_err(), "{from:?} → {to:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_expectation_can_fail() {
        let report =
            Report::parse("@@ section good\none\ntwo\n@@ status 0\n@@ section bad\nwhy\n@@ status 1\n");
        assert!(ok(&report, &["good"]).is_ok());
        assert!(ok(&report, &["good", "bad"]).is_err());
        assert!(ok(&report, &["absent"]).is_err());
        assert!(text(&report, "good", "one\ntwo").is_ok());
        assert!(text(&report, "good", "one").is_err());
        assert!(words(&report, "good", "tw").is_ok());
        assert!(words(&report, "good", "three").is_err());
        assert!(lines(&report, "good", &["two", "one"]).is_ok());
        assert!(lines(&report, "good", &["one", "tw"]).is_err());
    }
}
