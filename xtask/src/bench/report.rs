// SPDX-License-Identifier: MIT OR Apache-2.0
//! The page `docs/performance.md`.

use std::fmt::Write as _;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result};

use super::measure::{Sample, median};
use super::sides::{Bench, Measured};
use crate::process;
use crate::workspace::Workspace;

/// MiB that no command of ours should go beyond.
const MEMORY_TARGET: f64 = 40.0;

/// Drawn from the table; `./run pictures` does it again.
const PICTURE: &str = "![Our time over that of Debian's ostree, by case](pictures/performance.svg)\n\n\
                       The chart shows the ratios of the first table below, of the run with this date:";

/// Under what the figures were taken.
pub(crate) struct Facts {
    lines: Vec<String>,
}

impl Facts {
    /// Reads them from this machine, before the load of the measuring itself.
    pub(crate) fn gather(workspace: &Workspace, bench: &Bench) -> Result<Self> {
        let said = |line: &[&str]| -> Result<String> {
            let (program, arguments) = line.split_first().context("no program")?;
            let mut command = process::command(program);
            command.args(arguments).current_dir(&workspace.root);
            Ok(process::output(&mut command)?.trim().to_owned())
        };
        let read = |path: &str| std::fs::read_to_string(path).with_context(|| format!("Reading {path}"));
        let after = |text: &str, key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key));
            line.map_or("unknown", |rest| rest.trim_start_matches([':', ' ', '\t'])).to_owned()
        };
        let cpu = after(&read("/proc/cpuinfo")?, "model name");
        let cores = std::thread::available_parallelism().context("Counting the cores")?;
        let memory = after(&read("/proc/meminfo")?, "MemTotal");
        let load = read("/proc/loadavg")?.split(' ').next().unwrap_or_default().to_owned();
        let (files, bytes) = size_of(&bench.tree)?;
        let peer = process::output(
            process::command(bench.theirs.program.first().context("no peer")?)
                .args(bench.theirs.program.iter().skip(1))
                .arg("--version"),
        )?;
        let peer =
            peer.lines().find_map(|line| line.trim().strip_prefix("Version: ")).unwrap_or("?").to_owned();
        let lines = vec![
            format!("date: {}", said(&["date", "-u", "+%Y-%m-%d %H:%M UTC"])?),
            format!("commit: {}", said(&["git", "describe", "--always", "--dirty", "--abbrev=12"])?),
            format!("peer: Debian trixie's ostree {}", peer.trim_matches('\'')),
            format!("processor: {cpu}, {cores} cores; memory: {memory}"),
            format!("kernel: {}; file system: {}", said(&["uname", "-r"])?, super::disk::KIND),
            format!("load of the machine at the start: {load}"),
            format!("tree: {files} files, {:.0} MB", bytes as f64 / 1e6),
        ];
        Ok(Self { lines })
    }
}

/// Regular files of a tree, and their bytes.
fn size_of(tree: &Path) -> Result<(u64, u64)> {
    let (mut files, mut bytes) = (0, 0);
    let mut left = vec![tree.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in std::fs::read_dir(&dir).with_context(|| format!("Reading {}", dir.display()))? {
            let entry = entry.with_context(|| format!("Reading {}", dir.display()))?;
            let metadata =
                entry.metadata().with_context(|| format!("Looking at {}", entry.path().display()))?;
            if metadata.is_dir() {
                left.push(entry.path());
            } else if metadata.is_file() {
                files += 1;
                bytes += metadata.size();
            }
        }
    }
    Ok((files, bytes))
}

/// The table of all cases and the row of memory.
pub(crate) fn table(measured: &[Measured]) -> String {
    let mut text = String::from(
        "| what | ours | peer | ratio | at most | | CPU ratio | our peak MiB | peer's | ratio, min–max |\n\
         |---|---|---|---|---|---|---|---|---|---|\n",
    );
    let mut highest: f64 = 0.0;
    for row in measured {
        let (ours, theirs) = (wall(&row.ours), wall(&row.theirs));
        let (our_peak, their_peak) = (peak(&row.ours), peak(&row.theirs));
        // Not a number where it is unknown, which is greater than nothing.
        highest = highest.max(our_peak);
        let ratio = ours / theirs;
        let _ = writeln!(
            text,
            "| {} | {} | {} | {ratio:.2} | {} | {} | {} | {} | {} | {} |",
            row.name,
            seconds(ours),
            seconds(theirs),
            row.target,
            verdict(ratio <= row.target),
            known(cpu(&row.ours) / cpu(&row.theirs), 2),
            known(our_peak, 1),
            known(their_peak, 1),
            spread(row),
        );
    }
    let _ = writeln!(
        text,
        "| highest peak of memory | {highest:.1} MiB | | | {MEMORY_TARGET} MiB | {} | | | | |",
        verdict(highest <= MEMORY_TARGET)
    );
    text
}

/// The smallest and the largest ratio of two runs side by side, as the chart reads it.
fn spread(row: &Measured) -> String {
    let ratio = |(ours, theirs): (&Sample, &Sample)| ours.wall.as_secs_f64() / theirs.wall.as_secs_f64();
    let ratios: Vec<f64> = row.ours.iter().zip(&row.theirs).map(ratio).collect();
    let low = ratios.iter().copied().fold(f64::NAN, f64::min);
    let high = ratios.iter().copied().fold(f64::NAN, f64::max);
    if low.is_nan() { "–".to_owned() } else { format!("{low:.2}–{high:.2}") }
}

/// The whole page.
pub(crate) fn page(facts: &Facts, table: &str, growth: &str, runs: u32) -> String {
    let facts: String = facts.lines.iter().map(|line| format!("- {line}\n")).collect();
    format!(
        "# Performance\n\nWritten by `./run bench`, which measures our `ostree` beside Debian's in turn, in one run.\n\n{PICTURE}\n\n{facts}\n{table}\n\
         Medians of {runs} runs each (start-up and `status`: 20 times as many, `config-diff`: 5 times, growth: 3 times) after one run that warms\n\
         the page cache; the last column has the smallest and the largest ratio of two runs side by side. Times are wall clock from before the start of the program to its end. Both programs work on the same\n\
         file system, read the same tree and the same repository (made by the peer), keep their default settings for fsync, and\n\
         begin a case that writes with nothing left to write. The peer runs by its own loader, not through a shell. Memory is the\n\
         peak of the resident set as the kernel counted it, shared libraries included.\n\n\
         What is deployed is the tree with 1500 more files in `/etc`. The second version has another initramfs, 150 of these\n\
         defaults changed, and 150 new files. Before it is deployed, 150 files in `/etc` were changed, 100 removed and 150 added;\n\
         after each run the peer undeploys it again. `status` and `config-diff` read one sysroot with both versions, made by the peer.\n\n\
         {growth}\n\
         Both sizes have the same change and the same `/etc`. A second deploy makes a tree from nothing: each of its files is a name of its own,\n\
         and each directory is made anew, so it cannot but grow with the tree. A further deploy is what a system does from then on: a deployment goes with\n\
         each, of which the peer removes every name; ours begins the next one with that tree (see\n\
         [on-disk.md](on-disk.md#the-checkout-cache)), and what still grows is looking whether each name is what it should be.\n\
         Planning does not grow: each directory of a commit is read once, whoever needs it, and one that two commits have in common once for both.\n\n\
         The finalization is measured in virtual machines, three boots of each in turn: a smaller Debian system with our programs\n\
         and units, and the same with the C tools in their place. Each stages the second version by its own `ostree`, with another\n\
         initramfs and changes in `/etc`, and is shut down; the time is that from `Stopping` to `Stopped` of\n\
         `ostree-finalize-staged.service` in the journal. In it are the start of the program, the merge of `/etc`, the switch, and\n\
         what of the boot files was not copied when it was staged. The processor is emulated there and its disk does not wait for\n\
         flushes: of real disks it tells how much is written, not how long that takes.\n"
    )
}

/// The median of what is known; not a number if nothing is.
fn of(samples: &[Sample], value: impl Fn(&Sample) -> Option<f64>) -> f64 {
    median(&samples.iter().filter_map(value).collect::<Vec<_>>())
}

pub(super) fn wall(samples: &[Sample]) -> f64 {
    of(samples, |sample| Some(sample.wall.as_secs_f64()))
}

pub(super) fn cpu(samples: &[Sample]) -> f64 {
    of(samples, |sample| Some(sample.cpu?.as_secs_f64()))
}

/// MiB.
fn peak(samples: &[Sample]) -> f64 {
    of(samples, |sample| Some(sample.peak_kib? as f64 / 1024.0))
}

pub(super) fn known(value: f64, digits: usize) -> String {
    if value.is_nan() { "–".to_owned() } else { format!("{value:.digits$}") }
}

pub(super) fn seconds(value: f64) -> String {
    if value < 0.1 { format!("{:.2} ms", value * 1000.0) } else { format!("{value:.2} s") }
}

pub(super) fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "missed" }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn samples(millis: u64, peak_kib: u64) -> Vec<Sample> {
        let time = Duration::from_millis(millis);
        vec![Sample { wall: time, cpu: Some(time), peak_kib: Some(peak_kib) }; 3]
    }

    #[test]
    fn rows_say_whether_the_target_is_met() {
        for (millis, peak, expected) in [(500, 1024, ["met", "met"]), (700, 70 * 1024, ["missed", "missed"])]
        {
            let (ours, theirs) = (samples(millis, peak), samples(1000, 9000));
            let text = table(&[Measured { name: "commit", target: 0.6, ours, theirs }]);
            let verdicts: Vec<&str> =
                text.lines().skip(2).map(|line| line.split('|').nth(6).unwrap().trim()).collect();
            assert_eq!(verdicts, expected, "{text}");
        }
    }

    #[test]
    fn what_is_unknown_is_left_out() {
        let sample = Sample::of_wall(Duration::from_secs(1));
        let (ours, theirs) = (vec![sample; 3], vec![sample; 3]);
        assert_eq!(spread(&Measured { name: "", target: 1.0, ours: vec![], theirs: vec![] }), "–");
        let text = table(&[Measured { name: "shutdown", target: 1.0, ours, theirs }]);
        assert!(text.contains("| shutdown | 1.00 s | 1.00 s | 1.00 | 1 | met | – | – | – |"), "{text}");
        assert!(text.contains("| 0.0 MiB |"), "{text}");
    }

    #[test]
    fn a_page_has_the_spread_that_its_chart_shows() {
        let samples =
            |millis: [u64; 3]| millis.map(|millis| Sample::of_wall(Duration::from_millis(millis))).to_vec();
        let (ours, theirs) = (samples([200, 300, 500]), samples([1000, 1000, 2000]));
        let row = Measured { name: "commit", target: 0.6, ours, theirs };
        assert_eq!(spread(&row), "0.20–0.30");
        let facts = Facts { lines: ["date: d", "commit: c", "peer: p"].map(str::to_owned).to_vec() };
        let drawn = crate::picture::ratios(&page(&facts, &table(&[row]), "", 3)).unwrap();
        assert!(drawn.contains("two runs side by side"), "{drawn}");
    }

    #[test]
    fn times() {
        assert_eq!(seconds(0.00123), "1.23 ms");
        assert_eq!(seconds(12.3), "12.30 s");
    }
}
