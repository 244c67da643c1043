// SPDX-License-Identifier: MIT OR Apache-2.0
//! How the time of a deployment grows with the tree: one of 20,000 files and one of 40,000, each with the same small change and the
//! same local changes of `/etc`.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use fn_error_context::context;

use super::measure::{self, Sample};
use super::report::{cpu, known, seconds, verdict, wall};
use super::{Bench, Side, system};
use crate::terminal;

/// What `--only` chooses it by.
pub(super) const NAME: &str = "growth of a second deploy";

/// The time of the larger tree over that of the smaller one that we want at most.
const TARGET: f64 = 1.3;

/// Files of the smaller tree, beside its `/etc`.
const FILES: usize = 20_000;
/// A directory for each so many of them.
const IN_A_DIRECTORY: usize = 20;
/// Files that the second version changes.
const CHANGED: usize = 20;
/// The sizes.
const SIZES: [usize; 2] = [1, 2];

/// Samples of one program, by size.
type BySize = [Vec<Sample>; 2];

/// All that was measured.
pub(super) struct Growth {
    ours: BySize,
    theirs: BySize,
}

/// Measures both programs with both trees, in turn.
#[context("Measuring the {NAME}")]
pub(super) fn measure(bench: &Bench, runs: u32) -> Result<Growth> {
    let mut growth = Growth { ours: BySize::default(), theirs: BySize::default() };
    for size in SIZES {
        commit(bench, size)?;
        for side in sides(bench, size) {
            system::deployed(bench, &side, &versions(size))?;
        }
    }
    for round in 0..=runs {
        for (place, size) in SIZES.into_iter().enumerate() {
            terminal::progress(&format!("{NAME} {round}/{runs}, size {size}"));
            for (side, samples) in sides(bench, size).iter().zip([&mut growth.ours, &mut growth.theirs]) {
                system::undeploy_second(bench, side)?;
                rustix::fs::sync();
                let sample = measure::measure(&bench.meter, &system::deploy(side, &versions(size)[1]))?;
                if round > 0 {
                    samples.get_mut(place).context("There are two sizes")?.push(sample);
                }
            }
        }
    }
    Ok(growth)
}

/// Ours and the peer's, with a place of their own for each size.
fn sides(bench: &Bench, size: usize) -> [Side; 2] {
    [&bench.ours, &bench.theirs].map(|side| Side {
        program: side.program.clone(),
        dir: side.dir.with_extension(format!("growth-{size}")),
    })
}

fn versions(size: usize) -> [String; 2] {
    ["first", "second"].map(|version| format!("growth-{size}-{version}"))
}

/// Commits both versions of a tree.
fn commit(bench: &Bench, size: usize) -> Result<()> {
    let tree = bench.shared.dir.join("growth");
    let [first, second] = versions(size);
    let file = |index: usize| tree.join(format!("usr/share/growth/{}/{index}", index / IN_A_DIRECTORY));
    let text = |index: usize, what: &str| format!("{what} {index}\n").repeat(20).into_bytes();
    system::skeleton(bench, &tree)?;
    system::write(&tree.join("usr/lib/os-release"), b"PRETTY_NAME=\"Growth\"\n")?;
    for index in 0..FILES * size {
        system::write(&file(index), &text(index, "file"))?;
    }
    system::commit_dir(bench, &first, &tree)?;
    for index in (0..FILES).step_by(FILES / CHANGED) {
        system::write(&file(index), &text(index, "changed file"))?;
    }
    system::commit_dir(bench, &second, &tree)?;
    super::cases::clear(&tree)
}

/// A table of its own.
pub(super) fn table(growth: &Growth) -> String {
    let mut text = String::from(
        "| second deploy of a tree of | ours | peer | our CPU | peer's CPU |\n|---|---|---|---|---|\n",
    );
    let cpu_of = |samples: &[Sample]| known(cpu(samples), 2);
    for ((size, ours), theirs) in SIZES.into_iter().zip(&growth.ours).zip(&growth.theirs) {
        let files = FILES * size;
        let (ours_wall, theirs_wall) = (seconds(wall(ours)), seconds(wall(theirs)));
        let _ = writeln!(
            text,
            "| {files} files | {ours_wall} | {theirs_wall} | {} s | {} s |",
            cpu_of(ours),
            cpu_of(theirs)
        );
    }
    let ratio = |by_size: &BySize, value: fn(&[Sample]) -> f64| value(&by_size[1]) / value(&by_size[0]);
    let (ours, theirs) = (ratio(&growth.ours, wall), ratio(&growth.theirs, wall));
    let _ = writeln!(
        text,
        "| larger over smaller | {ours:.2} (at most {TARGET}: {}) | {theirs:.2} | {:.2} | {:.2} |",
        verdict(ours <= TARGET),
        ratio(&growth.ours, cpu),
        ratio(&growth.theirs, cpu),
    );
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_last_row_compares_the_sizes() {
        let samples = |millis| {
            let time = Duration::from_millis(millis);
            vec![Sample { wall: time, cpu: Some(time), peak_kib: Some(1) }]
        };
        for (larger, expected) in [(1200, "1.20 (at most 1.3: met)"), (1700, "1.70 (at most 1.3: missed)")] {
            let growth =
                Growth { ours: [samples(1000), samples(larger)], theirs: [samples(1000), samples(2000)] };
            let text = table(&growth);
            assert!(text.contains(expected) && text.ends_with("| 2.00 |\n"), "{text}");
            assert!(text.contains("| 40000 files | "), "{text}");
        }
    }
}
