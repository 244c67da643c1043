// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command: how many cases, and what is printed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;

use crate::case::Case;
use crate::compare::{self, Played};
use crate::difference::{Difference, Part};
use crate::mutant::{self, Mutant};
use crate::world::Programs;
use crate::{grow, rows, script, shrink};

/// Seeds of a run of fixed length: what one commit does, it always does.
const FIXED: std::ops::Range<u64> = 0..40;
/// How many cases a mutant may live through.
const PATIENCE: u64 = 400;

#[derive(Debug, Parser)]
#[command(name = "diff-peer", about = "Random commands for our ostree beside the C tool")]
struct Options {
    /// How long random cases are tried
    #[arg(long, value_name = "N", default_value_t = 10)]
    minutes: u64,
    /// The first seed; each case after it has the next
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Only the case of this seed, told step by step
    #[arg(long, value_name = "S")]
    only: Option<u64>,
    /// The regression rows, a fixed list of seeds, and the mutants: the same at every run
    #[arg(long)]
    quick: bool,
    /// Go on after a difference, until the time ends
    #[arg(long)]
    keep_going: bool,
    /// Only the mutants
    #[arg(long)]
    mutants: bool,
    /// Only this shell script, beside the peer
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
}

/// The sums of a run.
#[derive(Default)]
struct Sums {
    cases: usize,
    commands: usize,
    comparisons: usize,
    explained: BTreeMap<&'static str, usize>,
    differences: usize,
    /// The shapes of differences that have been told.
    told: Vec<String>,
}

/// Entry point of the program.
#[must_use]
pub fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<bool> {
    ensure!(rustix::process::geteuid().is_root(), "Root is needed: trees have owners and security labels");
    let place = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .with_context(|| format!("{name} is not set; start it by ./run diff-peer"))
    };
    let programs = Programs { ours: place("OSTREE_RS")?, peer: place("OSTREE_PEER")?, mutant: None };
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    if let Some(path) = &options.script {
        let text = std::fs::read_to_string(path).with_context(|| format!("Reading {}", path.display()))?;
        rows::compare(&programs, &path.display().to_string(), &text)?;
        println!("no difference");
        return Ok(true);
    }
    if let Some(seed) = options.only {
        print!("{}", script::of(&grow::case(seed), &format!("Seed {seed}")));
    }
    let mut sums = Sums::default();
    let begin = Instant::now();
    let mut good = true;
    if !options.mutants && options.only.is_none() {
        for (name, text) in rows::ROWS {
            if let Err(error) = rows::compare(&programs, name, text) {
                println!("{error:#}");
                good = false;
            }
        }
    }
    if !options.mutants {
        let first = options
            .seed
            .or(options.only)
            .unwrap_or_else(|| if options.quick { FIXED.start } else { of_now() });
        let end = begin + Duration::from_secs(60 * options.minutes);
        let more = |seed: u64| match (options.only, options.quick) {
            (Some(only), _) => seed == only,
            (None, true) => seed < first + (FIXED.end - FIXED.start),
            (None, false) => Instant::now() < end,
        };
        for seed in (first..).take_while(|seed| more(*seed)) {
            if !one(&programs, seed, &mut sums)? {
                good = false;
                if !options.keep_going && !options.quick {
                    break;
                }
            }
        }
    }
    let time = begin.elapsed().as_secs_f64();
    let found = if options.only.is_none() { mutants(&programs)? } else { 0 };
    good &= options.only.is_some() || found == mutant::ALL.len();
    for (name, count) in &sums.explained {
        println!("explained, {count} times: {name}");
    }
    #[expect(clippy::cast_precision_loss, reason = "a number for a person")]
    let speed = sums.commands as f64 / time.max(0.001);
    println!(
        "{} cases, {} commands ({speed:.0} a second), {} comparisons, {} rows, {} explained, {} differences, {found} of {} mutants found",
        sums.cases,
        sums.commands,
        sums.comparisons,
        rows::ROWS.len(),
        sums.explained.values().sum::<usize>(),
        sums.differences,
        mutant::ALL.len(),
    );
    Ok(good)
}

/// A seed that another run has not.
fn of_now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(1, |now| now.as_secs() * 1000)
}

/// Plays the case of a seed; false when it shows a difference that is not explained, which is then shrunk and told.
fn one(programs: &Programs, seed: u64, sums: &mut Sums) -> Result<bool> {
    let case = grow::case(seed);
    let played = compare::play(programs, &case)?;
    sums.cases += 1;
    sums.commands += played.commands;
    sums.comparisons += played.comparisons;
    for row in &played.explained {
        *sums.explained.entry(row.name).or_default() += 1;
    }
    let Some(difference) = played.difference else { return Ok(true) };
    sums.differences += 1;
    let shape = shape(&difference);
    let known = sums.told.iter().filter(|told| **told == shape).count();
    sums.told.push(shape.clone());
    if known > 1 {
        println!("seed {seed}: again {shape}");
        return Ok(false);
    }
    let small = shrink::smallest(&case, &mut |case| {
        compare::play(programs, case).is_ok_and(|played| shows(&played, &difference))
    });
    tell(programs, seed, &small, &difference)?;
    Ok(false)
}

/// The same kind of difference, in the same command.
fn shows(played: &Played, wanted: &Difference) -> bool {
    played.difference.as_ref().is_some_and(|found| shape(found) == shape(wanted))
}

/// The command, the part, and what is told of it without its numbers and paths.
fn shape(difference: &Difference) -> String {
    let status = match difference.part {
        Part::Status | Part::Fsck => difference.lines.first().cloned().unwrap_or_default(),
        _ => String::new(),
    };
    format!("{} {:?} {status}", difference.call.command(), difference.part)
}

fn tell(programs: &Programs, seed: u64, small: &Case, first: &Difference) -> Result<()> {
    let played = compare::play(programs, small)?;
    let difference = played.difference.as_ref().unwrap_or(first);
    let mut told = format!("Seed {seed}: {} ({})\n", shape(difference), difference.mode);
    for line in difference.lines.iter().take(20) {
        told += &format!("{line}\n");
    }
    for (name, said) in ["ours", "peer"].iter().zip(&difference.said) {
        if !said.trim().is_empty() {
            told += &format!("{name} says: {}\n", said.trim());
        }
    }
    let text = script::of(small, &told);
    println!("----\n{text}----");
    let path = Path::new("target/diff-peer").join(format!("{seed}.sh"));
    std::fs::create_dir_all("target/diff-peer").context("Making target/diff-peer")?;
    std::fs::write(&path, text).with_context(|| format!("Writing {}", path.display()))?;
    println!("{}: run it with O and P set to the two programs, both ways round", path.display());
    Ok(())
}

/// Looks for each mutant; the number of those that are found.
fn mutants(programs: &Programs) -> Result<usize> {
    let mut found = 0;
    for (name, mutant) in mutant::ALL {
        match seed_that_finds(programs, mutant)? {
            Some(seed) => {
                println!("mutant found by seed {seed}: {name}");
                found += 1;
            }
            None => println!("MUTANT NOT FOUND: {name}"),
        }
    }
    Ok(found)
}

fn seed_that_finds(programs: &Programs, mutant: Mutant) -> Result<Option<u64>> {
    let bent = Programs { mutant: Some(mutant), ..programs.clone() };
    for seed in FIXED.start..PATIENCE {
        let case = grow::case(seed);
        if !mutant.concerns(&case) || compare::play(&bent, &case)?.difference.is_none() {
            continue;
        }
        // The mistake has to be the reason.
        if compare::play(programs, &case)?.difference.is_none() {
            return Ok(Some(seed));
        }
    }
    Ok(None)
}
