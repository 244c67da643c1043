// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command: which rows there are, and what is printed.

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use clap::{Parser, Subcommand};
use rustix::mount::{MountPropagationFlags, mount_change};

use crate::disk::{Kind, Layout};
use crate::faults;
use crate::kit::{Kit, Programs, Side};
use crate::laptop_mode;
use crate::loader::Loader;
use crate::mutant::{MUTANTS, Mutant};
use crate::operation::{FULL_SIZE, OPERATIONS, Operation};
use crate::place::Place;
use crate::plans;
use crate::record::Refused;
use crate::report;
use crate::row::{Limit, Recorded, Row};
use crate::rules::Fault;
use crate::schedule::{self, Shop};
use crate::workshop::Workshop;

/// Says that this process has its own mounts already.
const INSIDE: &str = "OSTREE_RS_CRASH_INSIDE";
/// The time that `--quick` may take for the states.
const QUICK: Duration = Duration::from_secs(120);
/// How often each row of a mistake is recorded until it is seen: what the kernel writes, and when, differs from one to the next.
const RECORDINGS: usize = 2;
/// How long each mutant is looked for in a row; where nothing else is done, it takes seconds.
const PATIENCE: Duration = Duration::from_secs(300);
/// The space that the disk has for a whole system more than for the small tree.
const FULL_SIZE_MEBIBYTES: u64 = 1600;
/// How many states of a long run are booted: each takes five seconds or more.
const BOOTS: usize = 6;
/// How often the log of a row with a mutant is gone through.
const PASSES: usize = 5;

#[derive(Debug, Parser)]
#[command(name = "crash", about = "Power cuts at every write", args_conflicts_with_subcommands = true)]
struct Options {
    /// How long states are tried; mutants come on top
    #[arg(long, value_name = "N", default_value_t = 60)]
    minutes: u64,
    /// Only these operations, or `all`, without mutants
    #[arg(long, value_name = "OP,…", value_delimiter = ',')]
    only: Vec<String>,
    /// Only layouts with this name: ext4, xfs, btrfs, with /boot of its own ext4+xfs and so on, with a boot loader's file ext4@grub
    #[arg(long, value_name = "ROOT[+BOOT][@LOADER]")]
    layout: Option<String>,
    /// Which of the possible states are tried depends on it
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Only mutants with this name, or `all`
    #[arg(long, value_name = "NAME")]
    mutant: Option<String>,
    /// Debian's programs instead of ours
    #[arg(long)]
    theirs: bool,
    /// Only an update of a whole Debian system, that of the tests with virtual machines
    #[arg(long)]
    full_size: bool,
    /// A few rows and all mutants, in less than five minutes
    #[arg(long)]
    quick: bool,
    /// How many replayed disks are booted in QEMU; a run of all rows does it with 6
    #[arg(long, value_name = "N")]
    boots: Option<usize>,
    /// Keep the disks before the operations and the logs of what was written, too
    #[arg(long)]
    keep: bool,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// A system call that fails, or the process killed, instead of power cuts
    Faults(faults::Options),
    /// Whether each change that an operation makes is a step of its plan, instead of power cuts
    Plans(plans::Options),
}

/// Entry point of the `tests-crash` program.
#[must_use]
pub fn main() -> ExitCode {
    let options = Options::parse();
    let run = || if std::env::var_os(INSIDE).is_some() { inside(&options) } else { outside(&options) };
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Where images of what was wrong are kept.
fn kept() -> PathBuf {
    let cache = std::env::var_os("OSTREE_RS_CACHE").map_or_else(std::env::temp_dir, PathBuf::from);
    cache.join("crash")
}

/// Runs this program again, with mounts of its own, which end with it.
fn outside(options: &Options) -> Result<bool> {
    let directory = std::env::temp_dir().join(format!("ostree-crash-{}", std::process::id()));
    std::fs::create_dir(&directory).with_context(|| format!("Making {}", directory.display()))?;
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    command.arg(std::env::current_exe()?).args(std::env::args_os().skip(1)).env(INSIDE, &directory);
    let off = laptop_mode::Off::new()?;
    let status = command.status().context("Running unshare (as root)")?;
    drop(off);
    if options.keep {
        println!("kept in {}", directory.display());
    } else {
        std::fs::remove_dir_all(&directory).with_context(|| format!("Removing {}", directory.display()))?;
    }
    Ok(status.success())
}

fn inside(options: &Options) -> Result<bool> {
    let programs = Programs::from_environment()?;
    let directory = std::env::var_os(INSIDE).map(PathBuf::from).context("No directory")?;
    // Sessions follow what is unmounted here; the machine does not follow what is mounted.
    for propagation in [MountPropagationFlags::PRIVATE, MountPropagationFlags::SHARED] {
        mount_change("/", propagation | MountPropagationFlags::REC)
            .context("Setting how mounts propagate")?;
    }
    let workshop = Workshop::new(&directory, options.keep)?;
    let mut kit = Kit::new(&programs, &workshop.directory("kit")?)?;
    if options.full_size {
        kit.add_full_size(&crate::boot::debian_tree()?, &workshop.directory("full-size")?)?;
    }
    let shop = Shop { programs: &programs, kit: &kit, workshop: &workshop, seed: options.seed };
    match &options.part {
        Some(Part::Faults(options)) => return faults::run(&shop, options),
        Some(Part::Plans(options)) => return plans::run(&shop, options),
        None => {}
    }
    let states = if options.quick { QUICK } else { Duration::from_secs(60 * options.minutes) };
    let limit = Limit {
        until: Instant::now() + states,
        passes: if options.quick { 3 } else { usize::MAX },
        first_finding: false,
        windows_only: false,
        keep: Some(kept()),
    };
    let rows = if options.mutant.is_some() { Vec::new() } else { rows(options)? };
    let places = schedule::run(&shop, rows, &limit)?;
    println!("\nseed {}\n{}", options.seed, report::head());
    let mut failed = 0;
    for place in &places {
        println!("{}", report::line(place));
        match place {
            Place::Ready(recorded) => {
                for line in report::findings(recorded) {
                    println!("{line}");
                }
            }
            Place::Failed(..) => failed += 1,
            Place::Waiting(_) => {}
        }
    }
    let side = if options.theirs { Side::Theirs } else { Side::Ours };
    let [points, neither, flagged] = report::sums(&places, side);
    // The next part needs the memory.
    drop(places);
    let caught = if options.only.is_empty() && !options.full_size && !options.theirs {
        mutants(&shop, options)?
    } else {
        Vec::new()
    };
    let alive = caught.iter().filter(|caught| !**caught).count();
    if flagged > 0 || failed > 0 {
        println!("{flagged} states are flagged, {failed} rows failed");
    }
    let is_whole =
        options.only.is_empty() && options.mutant.is_none() && options.layout.is_none() && !options.full_size;
    let boots =
        options.boots.unwrap_or(if is_whole && !options.quick && !options.theirs { BOOTS } else { 0 });
    let started = boots == 0 || boot(&shop, boots)?;
    let well = !is_whole || options.theirs || faults::run(&shop, &faults::Options::for_all(options.quick))?;
    println!(
        "{points} crash points, {neither} neither, {} of {} mutants caught",
        caught.len() - alive,
        caught.len()
    );
    Ok(well && started && neither == 0 && flagged == 0 && failed == 0 && alive == 0)
}

/// Root and `/boot` on every file system.
fn layouts() -> Vec<Layout> {
    let kinds = [Kind::Ext4, Kind::Xfs, Kind::Btrfs];
    let boots = [None, Some(Kind::Ext4), Some(Kind::Xfs)];
    boots.into_iter().flat_map(|boot| kinds.map(|root| Layout::new(root, boot))).collect()
}

/// Lists the rows that change the entries, where a boot loader has a file of its own: Debian's programs would have to run a tool for that.
fn loader_rows() -> Vec<(&'static Operation, Layout)> {
    const OPERATIONS_THERE: [&str; 4] = ["deploy", "stage", "kargs", "undeploy"];
    let ext4 = Some(Kind::Ext4);
    let layouts = [
        Layout::new(Kind::Ext4, None).with(Loader::Grub),
        Layout::new(Kind::Xfs, None).with(Loader::Grub),
        Layout::new(Kind::Ext4, ext4).with(Loader::Grub),
        Layout::new(Kind::Ext4, ext4).with(Loader::GrubGenerated),
        Layout::new(Kind::Ext4, None).with(Loader::Extlinux),
        Layout::new(Kind::Ext4, ext4).with(Loader::Extlinux),
    ];
    let operations = OPERATIONS.iter().filter(|operation| OPERATIONS_THERE.contains(&operation.name));
    operations.flat_map(|operation| layouts.map(|layout| (operation, layout))).collect()
}

fn rows(options: &Options) -> Result<Vec<Row>> {
    let side = if options.theirs { Side::Theirs } else { Side::Ours };
    if options.full_size {
        let layout = Layout { more: FULL_SIZE_MEBIBYTES, ..Layout::new(Kind::Ext4, None) };
        return Ok(vec![Row { operation: &FULL_SIZE, layout, side, mutant: None }]);
    }
    let mut rows = Vec::new();
    for operation in OPERATIONS {
        for layout in layouts().into_iter().filter(|layout| operation.in_boot || layout.boot.is_none()) {
            rows.push(Row { operation, layout, side, mutant: None });
        }
    }
    if side == Side::Ours {
        let more = loader_rows().into_iter();
        rows.extend(more.map(|(operation, layout)| Row { operation, layout, side, mutant: None }));
    }
    let only = &options.only;
    let is_all = only.is_empty() || only.iter().any(|name| name == "all");
    rows.retain(|row| is_all || only.iter().any(|name| name == row.operation.name));
    rows.retain(|row| options.layout.as_ref().is_none_or(|only| *only == row.layout.to_string()));
    rows.retain(|row| row.operation.peer || side == Side::Ours);
    if options.quick {
        let quick = [
            ("deploy", "ext4"),
            ("stage", "ext4"),
            ("deploy", "xfs"),
            ("deploy", "btrfs+ext4"),
            ("deploy", "ext4@grub"),
            ("refs-of-others", "ext4"),
            ("names-of-others", "ext4"),
            ("stage-again", "ext4"),
        ];
        rows.retain(|row| quick.contains(&(row.operation.name, row.layout.to_string().as_str())));
    }
    ensure!(!rows.is_empty(), "there is no such row");
    Ok(rows)
}

/// Boots some states; says whether all of them came up.
fn boot(shop: &Shop<'_>, count: usize) -> Result<bool> {
    let (booted, problems) = crate::boot::boot_some(shop, count)?;
    println!("{booted} states booted, {} of them wrong", problems.len());
    problems.iter().for_each(|problem| println!("  {problem}"));
    Ok(booted > 0 && problems.is_empty())
}

/// Makes each mistake, all at the same time, and says of each whether it was seen.
fn mutants(shop: &Shop<'_>, options: &Options) -> Result<Vec<bool>> {
    let wanted = options.mutant.as_deref().unwrap_or("all");
    let chosen: Vec<_> = MUTANTS.iter().filter(|mutant| wanted == "all" || wanted == mutant.name).collect();
    ensure!(!chosen.is_empty(), "there is no mutant {wanted}");
    std::thread::scope(|scope| {
        let spawned: Vec<_> =
            chosen.iter().map(|mutant| scope.spawn(move || look_for(mutant, shop))).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Result<bool>>| {
            thread.join().map_err(|_| anyhow!("a thread has panicked"))?
        };
        spawned.into_iter().map(join).collect()
    })
}

fn look_for(mutant: &Mutant, shop: &Shop<'_>) -> Result<bool> {
    let directory = shop.workshop.directory(&format!("mutant-{}", mutant.name))?;
    for (name, layout) in (0..RECORDINGS).flat_map(|_| mutant.rows) {
        let operation: &Operation =
            OPERATIONS.iter().find(|operation| operation.name == *name).context("No such operation")?;
        let row = Row { operation, layout: *layout, side: Side::Ours, mutant: Some(mutant.fault) };
        let mut recorded = match Recorded::new(row.clone(), shop.kit, shop.workshop) {
            Ok(recorded) => recorded,
            // It needs no cut to be seen.
            Err(error) => match error.downcast_ref::<Refused>() {
                Some(Refused(said)) => {
                    let said = said.lines().last().unwrap_or_default();
                    println!("caught {} ({}) as {row} was recorded: {said}", mutant.name, mutant.about);
                    return Ok(true);
                }
                None => return Err(error),
            },
        };
        let until = Instant::now() + PATIENCE;
        let limit =
            Limit { until, passes: PASSES, first_finding: true, windows_only: mutant.in_window, keep: None };
        loop {
            let found = recorded.tally.findings.values().flat_map(|(_, finding)| &finding.problems);
            if let Some(problem) = found.into_iter().find(|problem| problem.fault != Fault::Unmountable) {
                let problem: String = problem.text.chars().take(200).collect();
                println!(
                    "caught {} ({}) in state {} of {}: {problem}",
                    mutant.name, mutant.about, recorded.tally.states, recorded.row
                );
                return Ok(true);
            }
            if recorded.is_done || Instant::now() > until {
                break;
            }
            recorded.visit(shop.programs, &directory, shop.seed, &limit)?;
        }
        println!("{}: not seen in {} states: {}", mutant.name, recorded.tally.states, recorded.row);
    }
    println!("ALIVE  {} ({})", mutant.name, mutant.about);
    Ok(false)
}
