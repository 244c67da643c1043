// SPDX-License-Identifier: MIT OR Apache-2.0
//! The picture of `docs/reliability.md`: how many states of a disk were looked at, by operation and file system, and how many of
//! them were neither old nor new; the peer's below ours.

use anyhow::{Context, Result, ensure};

use super::svg::{Anchor, Svg};
use super::table::Table;

const LEFT: f64 = 182.0;
const CELL: (f64, f64) = (74.0, 20.0);
const MARGIN: f64 = 20.0;
const HEAD: f64 = 92.0;
const ROW: f64 = 22.0;
/// Pixels a state, in the bars of the peer.
const STATE: f64 = 0.9;

/// A bar of the peer.
struct Bar {
    label: String,
    states: u32,
    neither: u32,
}

/// Draws the page's tables.
pub(super) fn draw(page: &str) -> Result<String> {
    let table = Table::find(page, &["operation", "ext4", "xfs"])?;
    let sum = Table::find(page, &["", "rows", "distinct states", "neither"])?;
    let bars = bars(&Table::find(page, &["operation", "root", "states", "neither"])?)?;
    let columns = table.head.get(1..).unwrap_or_default();
    let width = LEFT + CELL.0 * columns.len() as f64 + 2.0 * MARGIN;
    let grid_end = HEAD + ROW * table.rows.len() as f64;
    let bars_begin = grid_end + 84.0;
    let height = bars_begin + ROW * bars.len() as f64 + 14.0;
    let mut svg = Svg::new(width, height, "States of a disk after a power cut, by operation and file system");
    svg.text(MARGIN, 30.0, Anchor::Start, "title", &headline(&sum)?);
    let told = "Below: distinct states after a power cut, by operation and by the file systems of root and /boot. The sum has more rows.";
    svg.text(MARGIN, 52.0, Anchor::Start, "dim", told);
    draw_grid(&mut svg, &table, columns)?;
    let neither: u32 = bars.iter().map(|bar| bar.neither).sum();
    let states: u32 = bars.iter().map(|bar| bar.states).sum();
    let title = format!("Debian's ostree 2025.2: {neither} of {states} states are neither old nor new");
    svg.text(MARGIN, grid_end + 42.0, Anchor::Start, "title", &title);
    let told = "By operation and root. From an earlier version of this harness, so the numbers of states are not to be compared.";
    svg.text(MARGIN, grid_end + 64.0, Anchor::Start, "dim", told);
    for (index, bar) in bars.iter().enumerate() {
        draw_bar(&mut svg, bars_begin + ROW * index as f64, bar);
    }
    Ok(svg.finish())
}

/// The row of the sums, as a sentence.
fn headline(sum: &Table) -> Result<String> {
    let ours = sum.rows.iter().find(|row| row.first().is_some_and(|cell| cell == "ours"));
    let ours = ours.context("the table of the sums has no row \"ours\"")?;
    let cell = |name: &str| -> Result<u32> {
        let column = sum.column(name).with_context(|| format!("there is no column {name:?}"))?;
        number(ours.get(column).map_or("", String::as_str))
    };
    Ok(format!(
        "Ours: {} states, {} neither old nor new, {} with a flag, {} that no kernel could mount",
        cell("distinct states")?,
        cell("neither")?,
        cell("flagged")?,
        cell("not mountable")?
    ))
}

fn draw_grid(svg: &mut Svg, table: &Table, columns: &[String]) -> Result<()> {
    let place = |column: usize| MARGIN + LEFT + CELL.0 * column as f64;
    for (column, name) in columns.iter().enumerate() {
        svg.text(place(column) + CELL.0 / 2.0, HEAD - 9.0, Anchor::Middle, "dim", name);
    }
    let mut most = 1;
    for row in &table.rows {
        for cell in row.iter().skip(1).filter(|cell| !cell.is_empty()) {
            most = most.max(number(cell)?);
        }
    }
    for (index, row) in table.rows.iter().enumerate() {
        let y = HEAD + ROW * index as f64;
        let Some((operation, cells)) = row.split_first() else { continue };
        svg.text(MARGIN + LEFT - 12.0, y + 14.5, Anchor::End, "", short_name(operation));
        for (column, cell) in cells.iter().enumerate() {
            if cell.is_empty() {
                continue;
            }
            let part = f64::from(number(cell)?) / f64::from(most);
            svg.rect((place(column) + 1.0, y), (CELL.0 - 2.0, CELL.1), "bar", 0.1 + 0.55 * part);
            svg.text(place(column) + CELL.0 / 2.0, y + 14.5, Anchor::Middle, "", cell);
        }
    }
    Ok(())
}

fn draw_bar(svg: &mut Svg, y: f64, bar: &Bar) {
    let whole = f64::from(bar.states) * STATE;
    // One state must be seen, too.
    let bad = if bar.neither == 0 { 0.0 } else { (f64::from(bar.neither) * STATE).max(3.0) };
    let begin = MARGIN + LEFT;
    svg.text(begin - 12.0, y + 14.5, Anchor::End, "", &bar.label);
    svg.rect((begin, y + 2.0), (bad, CELL.1 - 4.0), "bad", 1.0);
    svg.rect((begin + bad, y + 2.0), (whole - bad, CELL.1 - 4.0), "bar", 0.5);
    let told = format!("{} neither", bar.neither);
    svg.text(begin + whole + 8.0, y + 14.5, Anchor::Start, "", &format!("{} states, {told}", bar.states));
}

fn bars(table: &Table) -> Result<Vec<Bar>> {
    let roots = table.cells_of("root")?;
    let states = table.cells_of("states")?;
    let neither = table.cells_of("neither")?;
    let rows = table.cells_of("operation")?.zip(roots).zip(states.zip(neither));
    rows.map(|((operation, root), (states, neither))| {
        let (states, neither) = (number(states)?, number(neither)?);
        ensure!(neither <= states, "{operation} on {root} has more neither than states");
        Ok(Bar { label: format!("{}, {root}", short_name(operation)), states, neither })
    })
    .collect()
}

/// The name that the command line has for an operation stands in brackets, where it differs.
fn short_name(operation: &str) -> &str {
    let inner = operation.rsplit_once('(').and_then(|(_, inner)| inner.strip_suffix(')'));
    match (inner, operation) {
        (Some(inner), _) => inner,
        (None, "stage and finalize, booted") => "stage",
        (None, other) => other,
    }
}

fn number(cell: &str) -> Result<u32> {
    cell.parse().with_context(|| format!("{cell:?} is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
| | rows | distinct states | neither | flagged | not mountable |\n|---|---|---|---|---|---|\n| ours | 2 | 160 | 0 | 1 | 2 |\n\n\
| operation | ext4 | xfs |\n|---|---|---|\n| `deploy` | 100 | 50 |\n| a pin (`pin`) | 10 |  |\n\n\
| operation | root | states | neither | flagged |\n|---|---|---|---|---|\n| deploy | ext4 | 332 | 3 | 0 |\n| kargs | xfs | 20 | 0 | 0 |\n";

    #[test]
    fn each_count_is_shown() {
        let drawn = draw(PAGE).unwrap();
        for text in [
            ">100<",
            ">50<",
            ">10<",
            ">pin<",
            ">332 states, 3 neither<",
            ">20 states, 0 neither<",
            ">deploy, ext4<",
        ] {
            assert!(drawn.contains(text), "{text} in {drawn}");
        }
        assert!(drawn.contains("Ours: 160 states, 0 neither old nor new, 1 with a flag, 2 that"), "{drawn}");
        assert!(drawn.contains(": 3 of 352 states are neither"), "{drawn}");
        assert_eq!(drawn.matches("class=\"bad\"").count(), 2, "{drawn}");
        assert_eq!(drawn.matches("width=\"72.0\"").count(), 3, "{drawn}");
    }

    #[test]
    fn a_count_that_is_none_is_an_error() {
        assert!(draw(&PAGE.replace("| 100 |", "| many |")).is_err());
        assert!(draw(&PAGE.replace("| 332 | 3 |", "| 3 | 332 |")).is_err());
        assert!(draw(&PAGE.replace("| ours |", "| theirs |")).is_err());
    }
}
