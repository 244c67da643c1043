// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tables of `docs/architecture.md`, as data that a test holds against cargo's view of the workspace.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};

/// The promises of the document.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    /// Each folder by its name, as a path from the top.
    pub folders: BTreeMap<String, String>,
    /// The names of the folders that a folder may use.
    pub uses: BTreeMap<String, BTreeSet<String>>,
    /// The crates of other projects that we use directly.
    pub crates_of_others: BTreeSet<String>,
}

impl Table {
    /// Reads both tables: folders under the heading `## Folders`, crates under `## Crates of others`.
    ///
    /// # Errors
    /// A heading that is not there, an empty table, or a folder that lists one that is not in the table.
    pub fn parse(text: &str) -> Result<Self> {
        let mut folders = BTreeMap::new();
        let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for row in rows(section(text, "## Folders")?) {
            let (first, last) = (row.first().context("an empty row")?, row.last().context("an empty row")?);
            for path in quoted(first) {
                uses.insert(name_of(&path), quoted(last).iter().map(|path| name_of(path)).collect());
                folders.insert(name_of(&path), path);
            }
        }
        for (folder, used) in &uses {
            let unknown: Vec<&String> = used.iter().filter(|name| !folders.contains_key(*name)).collect();
            ensure!(unknown.is_empty(), "{folder} may use {unknown:?}, which are not in the table");
        }
        let crates_of_others: BTreeSet<String> = rows(section(text, "## Crates of others")?)
            .iter()
            .filter_map(|row| row.first())
            .flat_map(|cell| quoted(cell))
            .collect();
        ensure!(!folders.is_empty() && !crates_of_others.is_empty(), "a table is empty");
        Ok(Self { folders, uses, crates_of_others })
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

/// The last component of a path: a crate is named like its folder.
fn name_of(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

/// The words in code quotes, folders without the slash at their end.
fn quoted(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(|name| name.trim_end_matches('/').to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# T\n\n## Folders\n\n| folder | what | may use |\n|---|---|---|\n| `top/a/` | x `y` | – |\n\
                        | `b/`, `c/` | x | `a` (library) |\n\n## Crates of others\n\n| crate | for |\n|---|---|\n| `libc` | x |\n";

    #[test]
    fn both_tables() {
        let table = Table::parse(TEXT).unwrap();
        assert_eq!(table.folders.values().collect::<Vec<_>>(), ["top/a", "b", "c"]);
        assert!(table.uses["a"].is_empty());
        assert_eq!(table.uses["c"].iter().collect::<Vec<_>>(), ["a"]);
        assert_eq!(table.crates_of_others.iter().collect::<Vec<_>>(), ["libc"]);
    }

    #[test]
    fn what_is_refused() {
        for (from, to) in [("## Folders", "## Folder"), ("`a` (lib", "`z` (lib"), ("| `libc` | x |", "")] {
            assert!(Table::parse(&TEXT.replace(from, to)).is_err(), "{from} -> {to}");
        }
    }
}
