// SPDX-License-Identifier: MIT OR Apache-2.0
//! The points that our programs reach, as the repository lists them, and the page about them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result, bail, ensure};

use super::tap::Score;
use crate::workspace::Workspace;

/// The list: a script and its points a line.
pub(super) const PASSING: &str = "xtask/src/upstream/passing.txt";
/// The page: a row for each script.
const PAGE: &str = "docs/upstream-tests.md";
/// The row above those of scripts.
const HEADER: &str = "| script | ours | theirs | what is missing |\n|---|---|---|---|\n";

/// The name of a script in the page, where a name with an ending would be that of a file of ours.
fn shown(name: &str) -> &str {
    name.trim_end_matches(".sh").trim_end_matches(".py")
}

/// The points of scripts by their names.
pub(super) type Points = BTreeMap<String, u32>;

/// Reads the list.
pub(super) fn read(workspace: &Workspace) -> Result<Points> {
    let path = workspace.root.join(PASSING);
    parse(&std::fs::read_to_string(&path).with_context(|| format!("Reading {}", path.display()))?)
}

fn parse(text: &str) -> Result<Points> {
    let mut points = Points::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, count) = line.split_once(' ').with_context(|| format!("{line}: no number of points"))?;
        points.insert(name.to_owned(), count.parse().with_context(|| line.to_owned())?);
    }
    ensure!(!points.is_empty(), "{PASSING} lists nothing");
    Ok(points)
}

/// A row of the page.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    name: String,
    ours: u32,
    theirs: u32,
    missing: String,
}

fn rows(page: &str) -> Result<Vec<Row>> {
    let (_, table) = page.split_once(HEADER).with_context(|| format!("{PAGE} has no table of scripts"))?;
    let lines = table.lines().take_while(|line| line.starts_with('|'));
    lines
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [name, ours, theirs, missing] = cells[..] else {
                bail!("{PAGE}: {line}: four cells are needed")
            };
            let count =
                |cell: &str| cell.parse().with_context(|| format!("{PAGE}: {line}: {cell} is no number"));
            Ok(Row {
                name: name.trim_matches('`').to_owned(),
                ours: count(ours)?,
                theirs: count(theirs)?,
                missing: missing.to_owned(),
            })
        })
        .collect()
}

/// Checks that the page and the list say the same, and that each missing point has a reason.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let path = workspace.root.join(PAGE);
    let page = std::fs::read_to_string(&path).with_context(|| format!("Reading {}", path.display()))?;
    compare(&rows(&page)?, &read(workspace)?)
}

fn compare(rows: &[Row], kept: &Points) -> Result<()> {
    for row in rows {
        let listed = kept.iter().find(|(name, _)| shown(name) == row.name).map_or(0, |(_, points)| *points);
        ensure!(
            row.ours == listed,
            "{PAGE} says {} points for {}, and {PASSING} says {listed}",
            row.ours,
            row.name
        );
        ensure!(
            row.ours >= row.theirs || !row.missing.is_empty(),
            "{PAGE}: {} lacks {} points without a reason",
            row.name,
            row.theirs - row.ours
        );
    }
    for name in kept.keys() {
        ensure!(rows.iter().any(|row| row.name == shown(name)), "{PAGE} has no row for {name}");
    }
    Ok(())
}

/// Writes the list, and the points into the rows of the page, whose reasons stay.
pub(super) fn record(workspace: &Workspace, reached: &BTreeMap<String, (u32, Score)>) -> Result<()> {
    let mut list = String::from(
        "# Points of the tests of the C tools that our programs reach; see docs/upstream-tests.md.\n",
    );
    for (name, (points, _)) in reached.iter().filter(|(_, (points, _))| *points > 0) {
        let _ = writeln!(list, "{name} {points}");
    }
    let path = workspace.root.join(PAGE);
    let page = std::fs::read_to_string(&path).with_context(|| format!("Reading {}", path.display()))?;
    let old = rows(&page)?;
    let (before, table) = page.split_once(HEADER).context("The table is gone")?;
    let after: String = table
        .lines()
        .skip_while(|line| line.starts_with('|'))
        .fold(String::new(), |text, line| text + line + "\n");
    let mut new = format!("{before}{HEADER}");
    for row in &old {
        let ours =
            reached.iter().find(|(name, _)| shown(name) == row.name).map_or(0, |(_, (points, _))| *points);
        let _ = writeln!(new, "| `{}` | {ours} | {} | {} |", row.name, row.theirs, row.missing);
    }
    new += &after;
    for (path, text) in [(workspace.root.join(PASSING), list), (path, new)] {
        std::fs::write(&path, text).with_context(|| format!("Writing {}", path.display()))?;
        println!("wrote {}", path.display());
    }
    check(workspace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_and_the_list_agree() {
        let page =
            format!("# Page\n\n{HEADER}| `test-a` | 2 | 3 | HTTP |\n| `test-b` | 1 | 1 |  |\n\nMore.\n");
        let rows = rows(&page).unwrap();
        assert_eq!(rows.len(), 2);
        let kept = parse("# list\ntest-a.sh 2\ntest-b.sh 1\n").unwrap();
        compare(&rows, &kept).unwrap();
        for list in ["test-a.sh 1\ntest-b.sh 1\n", "test-a.sh 2\n", "test-a.sh 2\ntest-b.sh 1\ntest-c.sh 1\n"]
        {
            assert!(compare(&rows, &parse(list).unwrap()).is_err(), "{list}");
        }
        let without = [Row { name: "test-a".into(), ours: 2, theirs: 3, missing: String::new() }];
        assert!(compare(&without, &parse("test-a.sh 2\n").unwrap()).is_err());
    }
}
