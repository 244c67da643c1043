// SPDX-License-Identifier: MIT OR Apache-2.0
//! `docs/test-all.md`: a line for each scenario beyond the boot budget, with what its last run came to. Each run writes the
//! lines of the scenarios that it ran, one after another, and leaves the others.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::process;
use crate::workspace::Workspace;

/// The page.
pub(crate) const PAGE: &str = "docs/test-all.md";
/// Where the scenarios are named.
const SCENARIOS: &str = "tests-vm/src/scenarios/mod.rs";
/// The head of the table and the line below it.
const HEAD: &str = "| scenario | commit | date | seconds | result |\n|---|---|---|---|---|\n";
/// The result of a run that went well.
const PASSED: &str = "passed";

/// The result of a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    name: String,
    seconds: u32,
    passed: bool,
}

impl Ended {
    /// Reads `scenario NAME: passed in 81.3 s` or `scenario NAME: FAILED in 81.3 s: why`, as `tests-vm` prints them.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (name, rest) = line.strip_prefix("scenario ")?.split_once(": ")?;
        let (result, rest) = rest.split_once(" in ")?;
        let whole = rest.split(['.', ' ']).next()?;
        let passed = match result {
            PASSED => true,
            "FAILED" => false,
            _ => return None,
        };
        Some(Self { name: name.to_owned(), seconds: whole.parse().ok()?, passed })
    }
}

/// The page, and what all lines of one run have in common.
pub(super) struct Record {
    page: PathBuf,
    commit: String,
    date: String,
}

impl Record {
    pub(super) fn new(workspace: &Workspace) -> Result<Self> {
        let git = |arguments: &[&str]| {
            process::output(process::command("git").args(arguments).current_dir(&workspace.root))
        };
        let commit = git(&["rev-parse", "--short", "HEAD"])?;
        // The page itself may have the lines of a run before this one.
        let changes = git(&["status", "--porcelain", "--", ".", &format!(":!{PAGE}")])?;
        let changed = if changes.is_empty() { "" } else { ", with changes" };
        let date = process::output(process::command("date").args(["--utc", "+%Y-%m-%d"]))?;
        Ok(Self {
            page: workspace.root.join(PAGE),
            commit: format!("{}{changed}", commit.trim()),
            date: date.trim().to_owned(),
        })
    }

    /// Writes the line of a scenario that has ended.
    pub(super) fn write(&self, ended: &Ended) -> Result<()> {
        let page = &self.page;
        let text = std::fs::read_to_string(page).with_context(|| format!("Reading {}", page.display()))?;
        let text = with_line(&text, &self.row(ended))?;
        std::fs::write(page, text).with_context(|| format!("Writing {}", page.display()))
    }

    fn row(&self, ended: &Ended) -> Row {
        let result = if ended.passed { PASSED } else { "FAILED" };
        let rest = [&self.commit, &self.date, &ended.seconds.to_string(), result].map(str::to_owned);
        Row { name: ended.name.clone(), rest }
    }
}

/// A line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    name: String,
    /// Commit, date, seconds, result.
    rest: [String; 4],
}

impl Row {
    fn parse(line: &str) -> Option<Self> {
        let cells: Vec<&str> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
        let [name, commit, date, seconds, result] = cells[..] else { return None };
        let name = name.strip_prefix('`')?.strip_suffix('`')?;
        Some(Self { name: name.to_owned(), rest: [commit, date, seconds, result].map(str::to_owned) })
    }

    fn text(&self) -> String {
        format!("| `{}` | {} |\n", self.name, self.rest.join(" | "))
    }

    /// The fault in it, if there is one.
    fn fault(&self) -> Option<String> {
        let [commit, date, seconds, result] = &self.rest;
        let name = &self.name;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if result != PASSED {
            return Some(format!("{name} has {result} at its last run"));
        }
        let complete = !commit.is_empty()
            && date.len() == 10
            && date.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
            && digits(seconds);
        (!complete).then(|| format!("{name} has no commit, date or seconds"))
    }
}

/// The table's lines by name, with what stands before and after the table.
fn parts(text: &str) -> Result<(&str, BTreeMap<String, Row>, &str)> {
    let (before, rest) =
        text.split_once(HEAD).with_context(|| format!("{PAGE} has no table of scenarios"))?;
    let end = rest.find("\n\n").map_or(rest.len(), |end| end + 1);
    let (lines, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let mut rows = BTreeMap::new();
    for line in lines.lines() {
        let row =
            Row::parse(line).with_context(|| format!("{PAGE}: this is no line of a scenario: {line}"))?;
        let name = row.name.clone();
        ensure!(rows.insert(name.clone(), row).is_none(), "{PAGE}: {name} has two lines");
    }
    Ok((before, rows, after))
}

/// The text with this line, in the place of the one of the same scenario.
fn with_line(text: &str, row: &Row) -> Result<String> {
    let (before, mut rows, after) = parts(text)?;
    rows.insert(row.name.clone(), row.clone());
    let lines: String = rows.values().map(Row::text).collect();
    Ok(format!("{before}{HEAD}{lines}{after}"))
}

/// Lists the faults of the page: scenarios without a line, lines without a scenario, failures.
pub(crate) fn faults(workspace: &Workspace) -> Result<Vec<String>> {
    let read = |name: &str| {
        std::fs::read_to_string(workspace.root.join(name)).with_context(|| format!("Reading {name}"))
    };
    let scenarios = beyond(&read(SCENARIOS)?);
    ensure!(!scenarios.is_empty(), "{SCENARIOS} names no scenario beyond the boot budget");
    compare(&read(PAGE)?, &scenarios)
}

fn compare(text: &str, scenarios: &[String]) -> Result<Vec<String>> {
    let (_, rows, _) = parts(text)?;
    let mut faults: Vec<String> = scenarios
        .iter()
        .filter(|name| !rows.contains_key(*name))
        .map(|name| format!("{name} has no line: ./run test --all --only {name}"))
        .collect();
    for row in rows.values() {
        if scenarios.contains(&row.name) {
            faults.extend(row.fault());
        } else {
            faults.push(format!("{} is no scenario beyond the boot budget: take its line out", row.name));
        }
    }
    Ok(faults)
}

/// The scenarios beyond the boot budget: the names in the calls of `extra`.
fn beyond(source: &str) -> Vec<String> {
    let calls = source.split("extra(").skip(1);
    calls
        .filter_map(|call| Some(call.trim_start().strip_prefix('"')?.split_once('"')?.0.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Head\n\nText.\n\n| scenario | commit | date | seconds | result |\n|---|---|---|---|---|\n\
                        | `a::b` | 1234567 | 2026-11-23 | 81 | passed |\n| `c` | 89abcde | 2026-11-24 | 9 | FAILED |\n\nMore.\n";

    fn row(name: &str, seconds: &str) -> Row {
        let rest = ["1111111", "2026-12-01", seconds, "passed"].map(str::to_owned);
        Row { name: name.to_owned(), rest }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn what_tests_vm_prints() {
        let passed = Ended::parse("scenario loaders::full::uboot: passed in 81.3 s").unwrap();
        assert_eq!(passed, Ended { name: "loaders::full::uboot".to_owned(), seconds: 81, passed: true });
        let failed = Ended::parse("scenario a: FAILED in 600.0 s: the guest did not end").unwrap();
        assert_eq!((failed.seconds, failed.passed), (600, false));
        for other in ["scenario a: begins", "Debian by EFI: 3.0 s", "scenario a: passed in no time"] {
            assert_eq!(Ended::parse(other), None, "{other}");
        }
    }

    #[test]
    fn only_the_lines_of_what_ran_change() {
        let changed = with_line(TEXT, &row("c", "7")).unwrap();
        assert_eq!(
            changed,
            TEXT.replace("89abcde | 2026-11-24 | 9 | FAILED", "1111111 | 2026-12-01 | 7 | passed")
        );
        let added = with_line(TEXT, &row("b", "5")).unwrap();
        assert!(added.contains("passed |\n| `b` | 1111111 | 2026-12-01 | 5 | passed |\n| `c`"), "{added}");
        assert!(added.ends_with("|\n\nMore.\n") && added.starts_with("# Head\n"), "{added}");
        let alone = TEXT.split("\n\nMore").next().unwrap();
        assert!(with_line(&format!("{alone}\n"), &row("z", "5")).unwrap().ends_with("| 5 | passed |\n"));
        assert!(with_line("# No table\n", &row("c", "7")).is_err());
    }

    #[test]
    fn what_the_lint_finds() {
        let found = |scenarios: &[&str]| compare(TEXT, &names(scenarios)).unwrap().join("; ");
        assert_eq!(found(&["a::b", "c"]), "c has FAILED at its last run");
        assert!(found(&["a::b", "c", "d"]).contains("d has no line: ./run test --all --only d"));
        assert!(found(&["c"]).contains("a::b is no scenario beyond the boot budget"));
        let bare = TEXT.replace("| 1234567 |", "| |");
        assert!(compare(&bare, &names(&["a::b"])).unwrap().join("; ").contains("a::b has no commit"));
        let twice = TEXT.replace("| `c`", "| `a::b`");
        assert!(compare(&twice, &names(&["a::b"])).is_err());
    }

    #[test]
    fn scenarios_are_found_in_the_source() {
        let source = "fn extra(name: &'static str) {}\nvec![usual(\"u\", u::run),\n extra(\"a::b\", b),\n extra(\n \"c\", c)]";
        assert_eq!(beyond(source), ["a::b", "c"]);
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let source = std::fs::read_to_string(root.join(SCENARIOS)).unwrap();
        assert!(beyond(&source).iter().any(|name| name == "loaders::full::uboot"));
    }
}
