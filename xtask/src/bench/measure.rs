// SPDX-License-Identifier: MIT OR Apache-2.0
//! Time and peak memory of one program. The kernel keeps the peak of all children that a process waited for, so each program
//! is measured by a small process of its own: this program, called again.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::resource::{UsageWho, getrusage};

use crate::process;

/// What one run took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sample {
    /// From before the start to after the end.
    pub(crate) wall: Duration,
    /// Of all its threads, in user and kernel mode.
    pub(crate) cpu: Duration,
    /// Peak of the resident memory, in KiB.
    pub(crate) peak_kib: u64,
}

/// Runs a program, with its standard output thrown away, and prints a line for [`parse`].
pub(crate) fn print_one(program: &[OsString]) -> Result<()> {
    let (name, arguments) = program.split_first().context("no program to measure")?;
    let mut command = Command::new(name);
    command.args(arguments).stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
    let start = Instant::now();
    let status = command.status().with_context(|| format!("Starting {}", Path::new(name).display()))?;
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
pub(crate) fn measure(line: &[OsString]) -> Result<Sample> {
    let this = std::env::current_exe().context("Finding this program")?;
    parse(&process::output(process::command(this).arg("measure-one").arg("--").args(line))?)
}

fn parse(text: &str) -> Result<Sample> {
    let numbers: Vec<u64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [wall, cpu, peak_kib] = numbers.as_slice() else { bail!("not a measurement: {text:?}") };
    Ok(Sample { wall: Duration::from_micros(*wall), cpu: Duration::from_micros(*cpu), peak_kib: *peak_kib })
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
        assert_eq!((sample.wall.as_micros(), sample.cpu.as_micros(), sample.peak_kib), (1500, 900, 4096));
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
