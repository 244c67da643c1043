// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tables and the facts of a page, as they are written there.

use anyhow::{Context, Result, ensure};

/// A table: its head, and below it the cells of each row.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

impl Table {
    /// Finds the first table of a page whose head begins with these cells.
    pub(super) fn find(page: &str, begins: &[&str]) -> Result<Self> {
        let mut lines = page.lines();
        while let Some(line) = lines.next() {
            let head = cells(line);
            if !line.starts_with('|') || !begins.iter().eq(head.iter().take(begins.len())) {
                continue;
            }
            ensure!(
                lines.next().is_some_and(|line| line.starts_with("|-")),
                "{line:?} is no head of a table"
            );
            let rows: Vec<Vec<String>> =
                lines.by_ref().take_while(|line| line.starts_with('|')).map(cells).collect();
            for row in &rows {
                ensure!(row.len() == head.len(), "{row:?} has not the columns of {head:?}");
            }
            return Ok(Self { head, rows });
        }
        anyhow::bail!("there is no table whose head begins with {begins:?}")
    }

    /// Returns the index of a column, if the table has it.
    pub(super) fn column(&self, name: &str) -> Option<usize> {
        self.head.iter().position(|cell| cell == name)
    }

    /// Returns the cells of a column, one a row.
    pub(super) fn cells_of(&self, name: &str) -> Result<impl Iterator<Item = &str>> {
        let column = self.column(name).with_context(|| format!("there is no column {name:?}"))?;
        Ok(self.rows.iter().map(move |row| row.get(column).map_or("", String::as_str)))
    }
}

/// Finds a line `- KEY: VALUE`.
pub(super) fn fact<'a>(page: &'a str, key: &str) -> Result<&'a str> {
    let value = |line: &'a str| line.strip_prefix("- ")?.strip_prefix(key)?.strip_prefix(": ");
    page.lines().find_map(value).with_context(|| format!("there is no line \"- {key}: …\""))
}

fn cells(line: &str) -> Vec<String> {
    let line = line.trim();
    let inner = line.strip_prefix('|').unwrap_or(line);
    inner.strip_suffix('|').unwrap_or(inner).split('|').map(|cell| cell.trim().replace('`', "")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "- date: today\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n| a | `c` | |\n|---|---|---|\n| `x` (`y`) |  | 3 |\n\nText\n";

    #[test]
    fn a_table_is_found_by_its_head() {
        let table = Table::find(PAGE, &["a", "c"]).unwrap();
        assert_eq!(table.head, ["a", "c", ""]);
        assert_eq!(table.rows, [["x (y)", "", "3"]]);
        assert_eq!(table.cells_of("a").unwrap().collect::<Vec<_>>(), ["x (y)"]);
        assert!(table.cells_of("z").is_err() && Table::find(PAGE, &["z"]).is_err());
    }

    #[test]
    fn a_row_with_other_columns_is_an_error() {
        assert!(Table::find("| a | b |\n|---|---|\n| 1 |\n", &["a"]).is_err());
        assert!(Table::find("| a | b |\ntext\n", &["a"]).is_err());
    }

    #[test]
    fn facts_are_found_by_their_key() {
        assert_eq!(fact(PAGE, "date").unwrap(), "today");
        assert!(fact(PAGE, "commit").is_err());
    }
}
