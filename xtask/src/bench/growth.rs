// SPDX-License-Identifier: MIT OR Apache-2.0
//! How the time of a deployment grows with the tree: one of 20,000 files and one of 40,000, each with the same small change and the
//! same local changes of `/etc`; for the second deployment, and for those that come after it.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use fn_error_context::context;

use super::measure::{self, Sample};
use super::report::{cpu, known, seconds, verdict, wall};
use super::sides::{self, Bench, Side};
use super::system;
use crate::terminal;

/// The name by which `--only` chooses it.
pub(super) const NAME: &str = "growth of a deploy";

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

/// Rounds for each run asked for: the two sizes differ by less than one round from the next.
const TIMES: u32 = 3;

/// Which deploys.
#[derive(Clone, Copy)]
enum Deploys {
    /// Of the second version over the first: nothing goes.
    Second,
    /// Of one version after the other, so that one deployment goes with each.
    Further,
}

/// The cost of one kind of deploys.
struct Measured {
    deploys: Deploys,
    ours: BySize,
    theirs: BySize,
}

/// All that was measured.
pub(super) struct Growth(Vec<Measured>);

/// Measures both programs with both trees, in turn.
#[context("Measuring the {NAME}")]
pub(super) fn measure(bench: &Bench, runs: u32) -> Result<Growth> {
    for size in SIZES {
        commit(bench, size)?;
        for side in sides(bench, size) {
            system::deployed(bench, &side, &versions(size))?;
        }
    }
    let kinds = [Deploys::Second, Deploys::Further];
    kinds.into_iter().map(|deploys| one(bench, deploys, runs)).collect::<Result<_>>().map(Growth)
}

fn one(bench: &Bench, deploys: Deploys, runs: u32) -> Result<Measured> {
    let mut measured = Measured { deploys, ours: BySize::default(), theirs: BySize::default() };
    let runs = runs.saturating_mul(TIMES);
    for round in 0..=runs {
        for (place, size) in SIZES.into_iter().enumerate() {
            terminal::progress(&format!("{NAME} {round}/{runs}, size {size}"));
            let sides = sides(bench, size);
            for (side, samples) in sides.iter().zip([&mut measured.ours, &mut measured.theirs]) {
                let [first, second] = versions(size);
                let version = match deploys {
                    Deploys::Second => {
                        system::undeploy_second(bench, side)?;
                        second
                    }
                    Deploys::Further if round % 2 == 0 => first,
                    Deploys::Further => second,
                };
                rustix::fs::sync();
                let sample = measure::measure(&bench.meter, &system::deploy(side, &version))?;
                if round > 0 {
                    samples.get_mut(place).context("There are two sizes")?.push(sample);
                }
            }
        }
    }
    Ok(measured)
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
    sides::clear(&tree)
}

/// A table for each kind of deploys.
pub(super) fn tables(growth: &Growth) -> String {
    growth.0.iter().map(|measured| table(measured) + "\n").collect()
}

fn table(measured: &Measured) -> String {
    let Measured { deploys, ours, theirs } = measured;
    let what = match deploys {
        Deploys::Second => "second deploy",
        Deploys::Further => "further deploy",
    };
    let mut text =
        format!("| {what} of a tree of | ours | peer | our CPU | peer's CPU |\n|---|---|---|---|---|\n");
    let cpu_of = |samples: &[Sample]| known(cpu(samples), 2);
    for ((size, ours), theirs) in SIZES.into_iter().zip(ours).zip(theirs) {
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
    let (our_ratio, their_ratio) = (ratio(ours, wall), ratio(theirs, wall));
    let _ = writeln!(
        text,
        "| larger over smaller | {our_ratio:.2} (at most {TARGET}: {}) | {their_ratio:.2} | {:.2} | {:.2} |",
        verdict(our_ratio <= TARGET),
        ratio(ours, cpu),
        ratio(theirs, cpu),
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
            let measured = Measured {
                deploys: Deploys::Further,
                ours: [samples(1000), samples(larger)],
                theirs: [samples(1000), samples(2000)],
            };
            let text = table(&measured);
            assert!(text.contains(expected) && text.ends_with("| 2.00 |\n"), "{text}");
            assert!(text.contains("| 40000 files | "), "{text}");
        }
    }
}
