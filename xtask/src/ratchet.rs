// SPDX-License-Identifier: MIT OR Apache-2.0
//! A count by crate that may only fall: comment lines that begin with a clause such as "What is there".
//!
//! A reader who sees such a clause does not learn the subject of the sentence. `xtask/ratchet.toml` holds the counts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use fn_error_context::context;

use crate::workspace::Workspace;

/// The table, relative to the checkout.
const TABLE: &str = "xtask/ratchet.toml";

/// Crate → number of comment lines.
type Counts = BTreeMap<String, usize>;

/// Compares the sources with the table.
///
/// # Errors
/// A count that has risen, with the lines of that crate; one that has fallen while the table has not.
#[context("Comparing the comments with {TABLE}")]
pub(crate) fn check(workspace: &Workspace, sources: &[(PathBuf, String)]) -> Result<()> {
    let text = std::fs::read_to_string(workspace.root.join(TABLE)).context("Reading it")?;
    let held: Counts = toml::from_str(&text).context("Parsing it")?;
    let told = differences(&held, sources);
    if told.is_empty() {
        return Ok(());
    }
    bail!("{}", told.join("\n"));
}

/// Lowers the table to the counts of the sources. Counts that have risen stay as they are, for [`check`] to refuse.
///
/// # Errors
/// The table cannot be read or written.
#[context("Lowering {TABLE}")]
pub(crate) fn lower(workspace: &Workspace, sources: &[(PathBuf, String)]) -> Result<()> {
    let path = workspace.root.join(TABLE);
    let text = std::fs::read_to_string(&path).context("Reading it")?;
    let held: Counts = toml::from_str(&text).context("Parsing it")?;
    let mut new: String =
        text.lines().take_while(|line| line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    for (name, count) in lowered(&held, sources) {
        new += &format!("{name} = {count}\n");
    }
    std::fs::write(&path, new).context("Writing it")
}

/// Each difference as a line for a person.
fn differences(held: &Counts, sources: &[(PathBuf, String)]) -> Vec<String> {
    let found = clauses(sources);
    let mut told = Vec::new();
    for (name, lines) in &found {
        let allowed = held.get(name).copied().unwrap_or_default();
        if lines.len() > allowed {
            told.push(format!(
                "{name} has {} comments that begin with a what or who clause, and {allowed} are allowed; begin with the subject:",
                lines.len()
            ));
            told.extend(lines.iter().map(|line| format!("  {line}")));
        }
    }
    for (name, allowed) in held {
        let count = found.get(name).map_or(0, Vec::len);
        if count < *allowed {
            told.push(format!(
                "{name} has {count} and not {allowed} any more: `./run lint --lower` writes that down"
            ));
        }
    }
    told
}

fn lowered(held: &Counts, sources: &[(PathBuf, String)]) -> Counts {
    let found = clauses(sources);
    let now = |name: &str| found.get(name).map_or(0, Vec::len);
    held.iter()
        .map(|(name, allowed)| (name.clone(), now(name).min(*allowed)))
        .filter(|(_, count)| *count > 0)
        .collect()
}

/// The comment lines in question by crate, as `FILE:LINE: COMMENT`.
fn clauses(sources: &[(PathBuf, String)]) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, text) in
        sources.iter().filter(|(name, _)| name.extension().is_some_and(|ending| ending == "rs"))
    {
        for (number, line) in text.lines().enumerate().filter(|(_, line)| begins_with_a_clause(line)) {
            let told = format!("{}:{}: {}", name.display(), number + 1, line.trim());
            found.entry(crate_of(name)).or_default().push(told);
        }
    }
    found
}

/// Whether a line is a comment whose first word is one of those that hide the subject.
fn begins_with_a_clause(line: &str) -> bool {
    const WORDS: [&str; 8] =
        ["What", "Who", "Whatever", "Whoever", "Whose", "Whom", "Nobody", "Nothing that"];
    let Some(comment) = line.trim_start().strip_prefix("//") else { return false };
    let comment = comment.strip_prefix(['/', '!']).unwrap_or(comment).trim_start();
    WORDS.iter().any(|word| comment.strip_prefix(word).is_some_and(|rest| rest.starts_with([' ', ','])))
}

/// The folder of the crate: the first component, below `crates` the second.
fn crate_of(file: &Path) -> String {
    let mut names =
        file.iter().map(|name| name.to_string_lossy().into_owned()).filter(|name| name != "crates");
    names.next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_that_begin_with_a_clause() {
        for (line, expected) in [
            ("/// What is kept.", true),
            ("    //! Whoever waits, waits.", true),
            ("// Nobody reads it.", true),
            ("/// Nothing that is mounted is entered.", true),
            ("/// Whatever, it is told.", true),
            ("/// Whether it is there.", false),
            ("/// The kept objects: what is reachable.", false),
            ("let what = 1; // What it is.", false),
        ] {
            assert_eq!(begins_with_a_clause(line), expected, "{line}");
        }
    }

    fn sources() -> Vec<(PathBuf, String)> {
        let file = |name: &str, text: &str| (PathBuf::from(name), text.to_owned());
        vec![
            file("crates/repo/src/lib.rs", "/// What it is.\n/// Who it is.\nfn f() {}\n"),
            file("cli/src/lib.rs", "// What it does.\n"),
            file("docs/a.md", "// What is no source.\n"),
        ]
    }

    #[test]
    fn counts_that_rose_and_counts_that_fell() {
        let held = |text: &str| toml::from_str::<Counts>(text).unwrap();
        assert_eq!(differences(&held("repo = 2\ncli = 1\n"), &sources()), [""; 0]);
        let rose = differences(&held("repo = 1\ncli = 1\n"), &sources());
        assert!(rose[0].starts_with("repo has 2 comments"), "{rose:?}");
        assert_eq!(
            rose[1..],
            ["  crates/repo/src/lib.rs:1: /// What it is.", "  crates/repo/src/lib.rs:2: /// Who it is."]
        );
        let fell = differences(&held("repo = 2\ncli = 3\nxtask = 1\n"), &sources());
        assert_eq!(fell.len(), 2);
        assert!(fell[0].contains("cli has 1 and not 3 any more: `./run lint --lower`"), "{fell:?}");
    }

    #[test]
    fn lowering_never_raises() {
        let held = toml::from_str("repo = 1\ncli = 3\nxtask = 1\n").unwrap();
        let expected: Counts = toml::from_str("repo = 1\ncli = 1\n").unwrap();
        assert_eq!(lowered(&held, &sources()), expected);
    }
}
