// SPDX-License-Identifier: MIT OR Apache-2.0
//! The chart of `docs/performance.md`: our time over the peer's, a bar a case.

use anyhow::{Context, Result};

use super::svg::{Anchor, Svg};
use super::table::{Table, fact};

/// The column that a run writes for the smallest and the largest ratio; a page of an older run lacks it.
const SPREAD: &str = "ratio, min–max";

const WIDTH: f64 = 900.0;
const LEFT: f64 = 330.0;
/// Pixels from a ratio of 0 to a ratio of 1.
const UNIT: f64 = 380.0;
const ROW: f64 = 28.0;
const TOP: f64 = 84.0;

/// One row of the table.
struct Case {
    name: String,
    ours: String,
    theirs: String,
    ratio: f64,
    at_most: f64,
    spread: Option<(f64, f64)>,
}

/// Draws the chart of the page.
pub(crate) fn draw(page: &str) -> Result<String> {
    let table = Table::find(page, &["what", "ours", "peer", "ratio", "at most"])?;
    let cases = cases(&table)?;
    let (date, commit, peer) = (fact(page, "date")?, fact(page, "commit")?, fact(page, "peer")?);
    let bottom = TOP + ROW * cases.len() as f64;
    let mut svg = Svg::new(WIDTH, bottom + 58.0, "Time of our ostree over the time of Debian's, by case");
    svg.text(20.0, 30.0, Anchor::Start, "title", &format!("Our time over that of {peer}: shorter is faster"));
    svg.text(20.0, 52.0, Anchor::Start, "dim", &format!("Medians of the run of {date}, commit {commit}"));
    for tenths in [0, 2, 4, 6, 8, 10] {
        let ratio = f64::from(tenths) / 10.0;
        let class = if tenths % 10 == 0 { "rule" } else { "faint" };
        svg.stroke((x(ratio), TOP - 6.0), (x(ratio), bottom), class);
        let label = if tenths == 10 { "1 (as long)".to_owned() } else { ratio.to_string() };
        svg.text(x(ratio), TOP - 11.0, Anchor::Middle, "dim", &label);
    }
    svg.text(WIDTH - 20.0, TOP - 11.0, Anchor::End, "dim", "ours / theirs");
    for (index, case) in cases.iter().enumerate() {
        draw_case(&mut svg, TOP + ROW * index as f64, case);
    }
    let spread = if cases.iter().any(|case| case.spread.is_some()) {
        "The thin line goes from the smallest to the largest ratio of two runs side by side."
    } else {
        "That run did not write down how far its single runs were apart."
    };
    svg.text(
        20.0,
        bottom + 24.0,
        Anchor::Start,
        "dim",
        "The upright mark is the bound that ours is held to.",
    );
    svg.text(20.0, bottom + 43.0, Anchor::Start, "dim", spread);
    Ok(svg.finish())
}

fn draw_case(svg: &mut Svg, y: f64, case: &Case) {
    let (middle, base) = (y + ROW / 2.0, y + ROW / 2.0 + 4.5);
    svg.text(LEFT - 10.0, base, Anchor::End, "", &case.name);
    svg.rect((LEFT, y + 6.0), (case.ratio.min(1.1) * UNIT, ROW - 12.0), "bar", 1.0);
    svg.stroke((x(case.at_most), y + 3.0), (x(case.at_most), y + ROW - 3.0), "mark");
    let mut end = case.ratio;
    if let Some((low, high)) = case.spread {
        svg.stroke((x(low), middle), (x(high), middle), "mark");
        for side in [low, high] {
            svg.stroke((x(side), middle - 4.0), (x(side), middle + 4.0), "mark");
        }
        end = end.max(high);
    }
    // The figure stands before the mark where there is place for it, else behind it.
    if case.at_most > end && x(case.at_most) < x(end) + 44.0 {
        end = case.at_most;
    }
    let told = format!("{:.2}", case.ratio);
    svg.text(x(end) + 8.0, base, Anchor::Start, "strong", &told);
    svg.text(WIDTH - 20.0, base, Anchor::End, "dim", &format!("{} / {}", case.ours, case.theirs));
}

/// The place of a ratio; those far beyond 1 end at the border.
fn x(ratio: f64) -> f64 {
    LEFT + ratio.min(1.1) * UNIT
}

/// The rows that have a ratio: that of memory has none.
fn cases(table: &Table) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for row in &table.rows {
        let cell =
            |name: &str| table.column(name).and_then(|column| row.get(column)).map_or("", String::as_str);
        if cell("ratio").is_empty() {
            continue;
        }
        let number = |name: &str| -> Result<f64> {
            cell(name).parse().with_context(|| format!("{name} of {row:?} is no number"))
        };
        cases.push(Case {
            name: cell("what").to_owned(),
            ours: cell("ours").to_owned(),
            theirs: cell("peer").to_owned(),
            ratio: number("ratio")?,
            at_most: number("at most")?,
            spread: spread(cell(SPREAD))?,
        });
    }
    Ok(cases)
}

/// Reads `0.12–0.34`; an empty cell has none.
fn spread(cell: &str) -> Result<Option<(f64, f64)>> {
    if cell.is_empty() || cell == "–" {
        return Ok(None);
    }
    let (low, high) = cell.split_once('–').with_context(|| format!("{cell:?} is no range"))?;
    let number = |text: &str| text.parse::<f64>().with_context(|| format!("{cell:?} is no range of numbers"));
    Ok(Some((number(low)?, number(high)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(rest_of_head: &str, rest_of_row: &str) -> String {
        format!(
            "- date: d\n- commit: c\n- peer: p\n\n\
             | what | ours | peer | ratio | at most | | CPU ratio{rest_of_head} |\n|---|---|---|---|---|---|---|\n\
             | `commit` | 1 s | 2 s | 0.50 | 0.6 | met | 0.4{rest_of_row} |\n| peak | 9 MiB | | | 40 MiB | met |{rest_of_row} |\n"
        )
    }

    #[test]
    fn a_case_has_a_bar_a_mark_and_its_figures() {
        let drawn = draw(&page("", "")).unwrap();
        assert!(drawn.contains("<rect x=\"330.0\" y=\"90.0\" width=\"190.0\""), "{drawn}");
        assert!(
            drawn.contains("<line x1=\"558.0\"")
                && drawn.contains(">1 s / 2 s<")
                && drawn.contains(">commit<")
        );
        assert!(!drawn.contains("peak") && drawn.contains("did not write down"), "{drawn}");
    }

    #[test]
    fn a_spread_is_drawn_where_there_is_one() {
        let drawn = draw(&page(" | ratio, min–max", " | 0.40–0.70")).unwrap();
        assert!(drawn.contains("<line x1=\"482.0\" y1=\"98.0\" x2=\"596.0\" y2=\"98.0\""), "{drawn}");
        assert!(drawn.contains("side by side"), "{drawn}");
        assert!(draw(&page(" | ratio, min–max", " | 0.40-0.70")).is_err());
    }

    #[test]
    fn a_page_without_the_table_is_an_error() {
        assert!(draw("# Performance\n").is_err());
        assert!(draw(&page("", "").replace("0.50", "half")).is_err());
    }
}
