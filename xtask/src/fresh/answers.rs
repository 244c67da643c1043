// SPDX-License-Identifier: MIT OR Apache-2.0
//! The output of `./run need`: a row for each verb, and with `--simulate` the version of each package that would be there.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

/// Comes before the answers of a row of `./run need`.
pub(super) const MARK: &str = "@@ ";

/// A verb with what it needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// The verb, with `--quick` at its end for the row of that option.
    pub(super) verb: String,
    /// `PACKAGE`, or `PACKAGE>=VERSION`.
    wanted: Vec<String>,
}

/// Whether a verb gets what it needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// All of it, and what that is.
    Good(String),
    /// Not all of it, and why.
    Bad(String),
}

/// The rows that `./run need` prints.
pub(super) fn rows(text: &str) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace().map(str::to_owned);
        if let Some(verb) = words.next() {
            rows.push(Row { verb, wanted: words.collect() });
        }
    }
    ensure!(rows.iter().all(|row| !row.wanted.is_empty()), "a verb without packages: {rows:?}");
    ensure!(!rows.is_empty(), "./run need names no verb");
    Ok(rows)
}

/// The lines of each row.
pub(super) fn parse(output: &str) -> BTreeMap<String, Vec<String>> {
    let mut answers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut open = String::new();
    for line in output.lines() {
        match line.strip_prefix(MARK) {
            Some(verb) if verb != "failed" => {
                open = verb.to_owned();
                answers.entry(open.clone()).or_default();
            }
            _ => answers.entry(open.clone()).or_default().push(line.to_owned()),
        }
    }
    answers
}

impl Row {
    /// Holds what `run` said that would be there against what the verb needs.
    pub(super) fn check(
        &self,
        answer: &[String],
        at_least: impl Fn(&str, &str) -> Result<bool>,
    ) -> Result<Answer> {
        let failed = format!("{MARK}failed");
        if answer.contains(&failed) || answer.is_empty() {
            let said: Vec<&str> = answer
                .iter()
                .map(String::as_str)
                .filter(|line| *line != failed && !line.is_empty())
                .collect();
            return Ok(Answer::Bad(if said.is_empty() { "no answer".to_owned() } else { said.join("\n  ") }));
        }
        let mut newer = Vec::new();
        for want in &self.wanted {
            let (name, bound) =
                want.split_once(">=").map_or((want.as_str(), None), |(name, bound)| (name, Some(bound)));
            let version = answer.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            let Some(version) = version else { return Ok(Answer::Bad(format!("{name} would not be there"))) };
            let Some(bound) = bound else { continue };
            if !at_least(version, bound)? {
                return Ok(Answer::Bad(format!("{name} would be {version}, and {bound} is wanted")));
            }
            newer.push(format!("{name} {version}"));
        }
        newer.dedup();
        let newer = if newer.is_empty() { String::new() } else { format!(" with {}", newer.join(", ")) };
        Ok(Answer::Good(format!("{} packages{newer}", self.wanted.len())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wanted: &str, output: &str) -> Answer {
        let rows = rows(&format!("demo {wanted}\n")).unwrap();
        let answers = parse(output);
        let newer = |version: &str, bound: &str| Ok(version >= bound);
        rows[0].check(answers.get("demo").map_or(&[][..], Vec::as_slice), newer).unwrap()
    }

    #[test]
    fn what_would_be_there_is_compared() {
        let output =
            "@@ build\ngcc 4\n@@ demo\ninstalling with apt-get: gcc mkosi\ngcc 4\nmkosi 24.3\n@@ vm\n";
        assert_eq!(check("gcc mkosi>=24", output), Answer::Good("2 packages with mkosi 24.3".to_owned()));
        assert_eq!(
            check("gcc mkosi>=25", output),
            Answer::Bad("mkosi would be 24.3, and 25 is wanted".to_owned())
        );
        // A longer name that begins alike is another package, and so is what is only asked for.
        assert_eq!(check("gc", output), Answer::Bad("gc would not be there".to_owned()));
        assert_eq!(check("git", output), Answer::Bad("git would not be there".to_owned()));
    }

    #[test]
    fn a_failure_is_told_with_its_reason() {
        let output =
            "@@ demo\nThe following packages have unmet dependencies:\nerror: apt-get could not\n@@ failed\n";
        let Answer::Bad(told) = check("gcc", output) else { panic!("it is no failure") };
        assert!(told.contains("unmet") && told.contains("error: apt-get could not"), "{told}");
    }

    #[test]
    fn silence_is_a_failure() {
        assert_eq!(check("gcc", "@@ build\ngcc 4\n"), Answer::Bad("no answer".to_owned()));
        assert_eq!(check("gcc", "@@ demo\n"), Answer::Bad("no answer".to_owned()));
        assert!(rows("").is_err() && rows("demo\n").is_err());
    }
}
