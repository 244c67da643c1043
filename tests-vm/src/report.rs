// SPDX-License-Identifier: MIT OR Apache-2.0
//! The report of a guest: sections of lines, each with the exit status of the command that wrote them.
//!
//! `guest/run.sh` writes the form: `@@ begin`, then for each section `@@ section NAME`, lines, `@@ status N`, and at
//! last `@@ end`.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

/// One command of the guest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Section {
    /// Its output and errors.
    pub(crate) lines: Vec<String>,
    /// Its exit status; `None` when the guest ended before it did.
    pub(crate) status: Option<i32>,
}

impl Section {
    /// The lines as one text.
    pub(crate) fn text(&self) -> String {
        self.lines.join("\n")
    }

    /// Whether the command succeeded.
    pub(crate) fn ok(&self) -> bool {
        self.status == Some(0)
    }
}

/// All that a guest sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Report {
    sections: BTreeMap<String, Section>,
    /// Whether the script ran to its end.
    pub(crate) complete: bool,
}

impl Report {
    /// Reads the text that came through the port.
    pub(crate) fn parse(text: &str) -> Self {
        let mut report = Self::default();
        let mut open: Option<(String, Section)> = None;
        for line in text.lines().map(|line| line.trim_end_matches('\r')) {
            if let Some(name) = line.strip_prefix("@@ section ") {
                report.close(open.take());
                open = Some((name.to_owned(), Section::default()));
            } else if let Some((rest, status)) = line.split_once("@@ status ") {
                if let Some((_, section)) = &mut open {
                    // Output without a newline at its end stands before the marker.
                    if !rest.is_empty() {
                        section.lines.push(rest.to_owned());
                    }
                    section.status = status.parse().ok();
                }
                report.close(open.take());
            } else if line == "@@ end" {
                report.complete = true;
            } else if let Some((_, section)) = &mut open {
                section.lines.push(line.to_owned());
            }
        }
        report.close(open);
        report
    }

    /// A section by name; its absence is an error.
    pub(crate) fn section(&self, name: &str) -> Result<&Section> {
        self.sections.get(name).with_context(|| format!("the guest sent no section {name:?}"))
    }

    /// Every command succeeded; the first that did not is an error.
    pub(crate) fn all_ok(&self) -> Result<()> {
        match self.sections.iter().find(|(_, section)| !section.ok()) {
            Some((name, section)) => bail!("{name} failed: {}", section.text()),
            None => Ok(()),
        }
    }

    fn close(&mut self, section: Option<(String, Section)>) {
        self.sections.extend(section);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_and_statuses_are_read() {
        let text =
            "@@ begin\n@@ section a\r\none\ntwo\n@@ status 0\n@@ section b\nno newline@@ status 3\n@@ end\n";
        let report = Report::parse(text);
        assert!(report.complete);
        assert_eq!(report.section("a").unwrap().text(), "one\ntwo");
        assert!(report.section("a").unwrap().ok());
        assert_eq!(report.section("b").unwrap().lines, ["no newline"]);
        assert_eq!(report.section("b").unwrap().status, Some(3));
        assert!(report.section("c").is_err());
        assert!(report.all_ok().is_err());
        assert!(Report::parse("@@ section a\n@@ status 0\n").all_ok().is_ok());
    }

    #[test]
    fn a_guest_that_died_leaves_an_incomplete_report() {
        let report = Report::parse("@@ begin\n@@ section a\none\n");
        assert!(!report.complete);
        assert!(!report.section("a").unwrap().ok());
        assert_eq!(Report::parse(""), Report::default());
    }
}
