// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tables of `docs/architecture.md`, as data that a test holds against cargo's view of the workspace.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};

/// What the document promises.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    /// A room, and the rooms that it may use.
    pub rooms: BTreeMap<String, BTreeSet<String>>,
    /// The crates of other projects that we use directly.
    pub crates: BTreeSet<String>,
}

impl Table {
    /// Reads both tables: rooms under the heading `## Rooms`, crates under `## Crates of others`.
    ///
    /// # Errors
    /// A heading that is not there, an empty table, or a room that lists one that is not in the table.
    pub fn parse(text: &str) -> Result<Self> {
        let mut rooms = BTreeMap::new();
        for row in rows(section(text, "## Rooms")?) {
            let (first, last) = (row.first().context("an empty row")?, row.last().context("an empty row")?);
            for room in names(first) {
                rooms.insert(room, names(last));
            }
        }
        let all: BTreeSet<String> = rooms.keys().cloned().collect();
        for (room, uses) in &rooms {
            let unknown: Vec<&String> = uses.difference(&all).collect();
            ensure!(unknown.is_empty(), "room {room} may use {unknown:?}, which are no rooms");
        }
        let crates: BTreeSet<String> = rows(section(text, "## Crates of others")?)
            .iter()
            .filter_map(|row| row.first())
            .flat_map(|cell| names(cell))
            .collect();
        ensure!(!rooms.is_empty() && !crates.is_empty(), "a table is empty");
        Ok(Self { rooms, crates })
    }
}

fn section<'a>(text: &'a str, heading: &str) -> Result<&'a str> {
    let start = text.find(&format!("\n{heading}\n")).with_context(|| format!("no heading {heading:?}"))?;
    let body = text.get(start + heading.len() + 2..).unwrap_or_default();
    Ok(body.split("\n## ").next().unwrap_or_default())
}

/// The cells of each row of a table, without its head.
fn rows(section: &str) -> Vec<Vec<&str>> {
    let lines = section.lines().filter_map(|line| line.trim().strip_prefix('|')?.strip_suffix('|'));
    let is_rule = |line: &str| line.chars().all(|c| "-|: ".contains(c));
    lines
        .skip_while(|line| !is_rule(line))
        .skip(1)
        .map(|line| line.split('|').map(str::trim).collect())
        .collect()
}

/// The names in code quotes, folders without their slash.
fn names(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(|name| name.trim_end_matches('/').to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# T\n\n## Rooms\n\n| folder | what | may use |\n|---|---|---|\n| `a/` | x `y` | – |\n\
                        | `b/`, `c/` | x | `a` (library) |\n\n## Crates of others\n\n| crate | for |\n|---|---|\n| `libc` | x |\n";

    #[test]
    fn both_tables() {
        let table = Table::parse(TEXT).unwrap();
        assert_eq!(table.rooms.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert!(table.rooms["a"].is_empty());
        assert_eq!(table.rooms["c"].iter().collect::<Vec<_>>(), ["a"]);
        assert_eq!(table.crates.iter().collect::<Vec<_>>(), ["libc"]);
    }

    #[test]
    fn what_is_refused() {
        for (from, to) in [("## Rooms", "## Room"), ("`a` (lib", "`z` (lib"), ("| `libc` | x |", "")] {
            assert!(Table::parse(&TEXT.replace(from, to)).is_err(), "{from} -> {to}");
        }
    }
}
