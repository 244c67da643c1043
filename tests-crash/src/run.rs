// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command: which rows there are, and what is printed.

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;

use crate::cuts::Effort;
use crate::disk::{Kind, Layout};
use crate::kit::{Kit, Programs, Side};
use crate::operation::OPERATIONS;
use crate::row::{Limit, Recorded, Row};
use crate::workshop::Workshop;

/// Says that this process has its own mounts already.
const INSIDE: &str = "OSTREE_RS_CRASH_INSIDE";

#[derive(Debug, Parser)]
#[command(name = "crash", about = "Power cuts at every write")]
struct Options {
    /// How long new states are tried
    #[arg(long, value_name = "N", default_value_t = 60)]
    minutes: u64,
    /// Only operations with this name
    #[arg(long, value_name = "OP")]
    only: Option<String>,
    /// What the choice of states depends on
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
}

/// Entry point of the `tests-crash` program.
#[must_use]
pub fn main() -> ExitCode {
    let run = || if std::env::var_os(INSIDE).is_some() { inside(&Options::parse()) } else { outside() };
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs this program again, with mounts of its own, which end with it.
fn outside() -> Result<bool> {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    command.arg(std::env::current_exe()?).args(std::env::args_os().skip(1)).env(INSIDE, "1");
    Ok(command.status().context("Running unshare (as root)")?.success())
}

fn inside(options: &Options) -> Result<bool> {
    let programs = Programs::from_environment()?;
    let temporary = std::env::temp_dir().join(format!("ostree-crash-{}", std::process::id()));
    let workshop = Workshop::new(&temporary)?;
    let kit = Kit::new(&programs, &workshop.directory("kit")?)?;
    let until = Instant::now() + Duration::from_secs(60 * options.minutes);
    let limit = Limit { until, first_finding: false, states: usize::MAX };
    let effort = Effort { whole: Vec::new(), prefixes: true, samples: 8, exhaustive: true };
    let (mut states, mut neither) = (0, 0);
    let layouts = [Layout::new(Kind::Ext4, None)];
    for operation in OPERATIONS.iter().filter(|o| options.only.as_ref().is_none_or(|only| only == o.name)) {
        for layout in layouts {
            let row = Row { operation, layout, side: Side::Ours, mutant: None };
            let mut recorded = Recorded::new(row, &programs, &kit, &workshop)?;
            let made = recorded.tally.time;
            recorded.replay(&programs, &effort, options.seed, limit)?;
            let (writes, epochs) = recorded.size();
            let tally = &recorded.tally;
            println!(
                "{:<30} {writes:>5} writes {epochs:>4} epochs {:>6} states {:>4} neither {:>4} flagged {:>4} runs {:>6.1} s ({:.1} s made) {:.1}/s",
                recorded.row.to_string(),
                tally.states,
                tally.neither,
                tally.flagged,
                tally.runs,
                tally.time.as_secs_f64(),
                made.as_secs_f64(),
                tally.states as f64 / (tally.time - made).as_secs_f64()
            );
            for (count, finding) in tally.findings.values() {
                println!(
                    "  {count} × {}",
                    finding.problems.first().map(ToString::to_string).unwrap_or_default()
                );
                println!("    {}", finding.place);
            }
            states += tally.states;
            neither += tally.neither;
        }
    }
    println!("{states} crash points, {neither} neither, 0 of 0 mutants caught");
    Ok(neither == 0)
}
