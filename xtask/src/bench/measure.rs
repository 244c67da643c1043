// SPDX-License-Identifier: MIT OR Apache-2.0
//! Time and peak memory of one program. The kernel keeps one peak for all children that a process waited for, so each
//! program is measured by a process of its own, `measure-one`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::resource::{UsageWho, getrusage};

use crate::process;
use crate::workspace::Workspace;

/// The cost of one run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sample {
    /// From before the start to after the end.
    pub(crate) wall: Duration,
    /// Of all its threads, in user and kernel mode; unknown of what runs in a virtual machine.
    pub(crate) cpu: Option<Duration>,
    /// Peak of the resident memory, in KiB; likewise.
    pub(crate) peak_kib: Option<u64>,
}

impl Sample {
    /// One of which no more is known.
    pub(crate) fn of_wall(wall: Duration) -> Self {
        Self { wall, cpu: None, peak_kib: None }
    }
}

/// Entry point of the `measure-one` program.
#[must_use]
pub fn measure_one() -> ExitCode {
    match print_one() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the program that the arguments name, its standard output thrown away, and prints a line for [`parse`].
fn print_one() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let name = arguments.next().context("no program to measure")?;
    let mut command = Command::new(&name);
    command.args(arguments).stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
    let start = Instant::now();
    let status = command.status().with_context(|| format!("Starting {}", Path::new(&name).display()))?;
    let wall = start.elapsed();
    ensure!(status.success(), "{} failed: {status}", process::line_of(&command));
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("Asking for the use of resources")?;
    let micros = |time: nix::sys::time::TimeVal| time.tv_sec() * 1_000_000 + time.tv_usec();
    println!(
        "{} {} {}",
        wall.as_micros(),
        micros(usage.user_time()) + micros(usage.system_time()),
        usage.max_rss()
    );
    Ok(())
}

/// Measures a command line.
pub(crate) fn measure(meter: &Path, line: &[OsString]) -> Result<Sample> {
    parse(&process::output(process::command(meter).args(line))?)
}

/// Builds `measure-one`.
pub(crate) fn meter(workspace: &Workspace) -> Result<PathBuf> {
    let mut cargo = process::cargo("build");
    cargo.args(["--release", "--package", "xtask", "--bin", "measure-one"]);
    process::run(cargo)?;
    Ok(workspace.target.join("release/measure-one"))
}

fn parse(text: &str) -> Result<Sample> {
    let numbers: Vec<u64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [wall, cpu, peak_kib] = numbers.as_slice() else { bail!("not a measurement: {text:?}") };
    let (wall, cpu) = (Duration::from_micros(*wall), Duration::from_micros(*cpu));
    Ok(Sample { wall, cpu: Some(cpu), peak_kib: Some(*peak_kib) })
}

/// The middle value; the mean of the two in the middle of an even number.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 { at(half) } else { (at(half.wrapping_sub(1)) + at(half)) / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let sample = parse("1500 900 4096\n").unwrap();
        let expected = Sample {
            wall: Duration::from_micros(1500),
            cpu: Some(Duration::from_micros(900)),
            peak_kib: Some(4096),
        };
        assert_eq!(sample, expected);
        assert!(parse("1500 900").is_err());
    }

    #[test]
    fn medians() {
        for (values, expected) in [(&[3.0, 1.0, 2.0][..], 2.0), (&[4.0, 1.0, 2.0, 3.0], 2.5), (&[7.0], 7.0)] {
            assert!((median(values) - expected).abs() < 1e-9, "{values:?}");
        }
        assert!(median(&[]).is_nan());
    }
}
