// SPDX-License-Identifier: MIT OR Apache-2.0
//! Faults besides power: what an operation leaves when the kernel refuses something.
//!
//! Each operation is run once under `strace` to know its system calls. Then, in a fresh copy of the system each time, one of them
//! fails as it really could, or the process is killed there (`call`). Old or new must be left, and the same command again must
//! succeed (`injection`).
//!
//! The programs read the boot files in a second thread. Its calls are told from the others' by their path, for `strace` counts a
//! thread. In a loop the first, the middle and the last turn are tried.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;

use crate::disk::{Kind, Layout};
use crate::kit::{Kit, Side};
use crate::machine::Machine;
use crate::operation::{OPERATIONS, Operation};
use crate::schedule::Shop;

pub mod call;
mod injection;
mod space;
pub(crate) mod stand;
mod tally;
mod together;

use injection::{Injection, Outcome, Subject};
use space::Shortage;
use stand::Stand;
use tally::Tally;
use together::Pair;

/// One in so many of all failures is tried: about 1800. A prime, so that it is another kind of failure each time.
const USUAL: usize = 5;
/// The same with `--quick`.
const QUICK: usize = 61;
/// The repository is looked through after one in so many.
const FSCK: usize = 5;

/// Mistakes that must be seen: the name for `DURABLE_MUTANT`, and an operation that shows it.
const MUTANTS: [(&str, &str); 3] = [
    // An empty origin, where there was no room for it.
    ("write-errors-ignored", "deploy"),
    // Killed in between, it leaves links that lead nowhere, or no menu at all.
    ("loader-before-links", "deploy"),
    ("commit-by-unlink", "deploy"),
];

/// Which failures are tried.
#[derive(Debug, Clone, Default, Args)]
pub struct Options {
    /// Only these operations, without mutants
    #[arg(long, value_name = "OP,…", value_delimiter = ',')]
    only: Vec<String>,
    /// Root and /boot on two file systems
    #[arg(long)]
    split: bool,
    /// The file system of the root; full disks are tried on ext4 only
    #[arg(long, value_name = "KIND", value_enum, default_value_t)]
    root: Kind,
    /// Every failure that a call can return, and not one
    #[arg(long)]
    all: bool,
    /// A sample
    #[arg(long)]
    quick: bool,
    /// Only full disks and two commands at once
    #[arg(long)]
    without_calls: bool,
    /// Only one failure in N; 1 tries every call of every shape, and takes five times as long as 5
    #[arg(long, value_name = "N", default_value_t = USUAL)]
    every: usize,
    /// Tell of each try what came of it
    #[arg(long)]
    tell: bool,
}

impl Options {
    /// All operations, or a sample of them.
    pub(crate) fn for_all(quick: bool) -> Self {
        Self { quick, every: USUAL, ..Self::default() }
    }
}

/// Tries failures and tells what came of them; says whether all is well.
pub(crate) fn run(shop: &Shop<'_>, options: &Options) -> Result<bool> {
    let layout = Layout::new(options.root, options.split.then_some(Kind::Ext4));
    let is_chosen = |operation: &&Operation| {
        // Where programs run at once, the calls of one are not told from those of the other: see `together`.
        !operation.at_once
            && (options.only.is_empty() || options.only.iter().any(|name| name == operation.name))
    };
    let operations: Vec<&'static Operation> = OPERATIONS.iter().filter(is_chosen).collect();
    ensure!(!operations.is_empty(), "there is no such operation");
    let subjects = in_parallel(
        &operations,
        |worker| Stand::new(layout, &shop.workshop.directory(&format!("faults/prepare-{worker}"))?),
        |stand, operation| subject(shop, operation, layout, shop.kit, "as-it-is", stand),
    )?;
    let mut tries: Vec<(usize, Try)> = Vec::new();
    for (index, subject) in subjects.iter().enumerate() {
        tries.extend(Try::all(subject, options.all).into_iter().map(|one| (index, one)));
    }
    tries.retain(|(_, one)| !options.without_calls || !matches!(one, Try::Injection(_)));
    let every = if options.quick { QUICK } else { options.every };
    let is_always_tried = |one: &Try| matches!(one, Try::Other(_, pair) if pair.is_always_tried());
    let is_tried = |(number, (_, one)): &(usize, (usize, Try))| {
        number.is_multiple_of(every.max(1)) || is_always_tried(one)
    };
    tries = tries.into_iter().enumerate().filter(is_tried).map(|(_, one)| one).collect();
    let tallies: Vec<Mutex<Tally>> = subjects.iter().map(|subject| Mutex::new(Tally::new(subject))).collect();
    let stand = |worker| Stand::new(layout, &shop.workshop.directory(&format!("faults/{worker}"))?);
    in_parallel(&tries, stand, |stand, (index, one)| {
        let subject = subjects.get(*index).context("No such operation")?;
        let outcome = one.run(subject, stand, shop).with_context(|| one.describe(subject))?;
        let tally = tallies.get(*index).context("No such tally")?.lock();
        if options.tell {
            println!("{}: {outcome}", one.describe(subject));
        }
        tally.map_err(|_| anyhow!("a thread failed"))?.add(&outcome, || one.describe(subject));
        Ok(())
    })?;
    let tallies: Vec<Tally> = tallies.into_iter().filter_map(|tally| tally.into_inner().ok()).collect();
    println!("\n{}", Tally::head());
    for tally in &tallies {
        println!("{}", tally.line());
    }
    for line in tallies.iter().flat_map(Tally::findings) {
        println!("{line}");
    }
    let mutants = if options.only.is_empty() { &MUTANTS[..] } else { &[] };
    let caught = in_parallel(
        mutants,
        |_| Ok(()),
        |(), (mutant, operation)| is_caught(shop, mutant, operation, layout),
    )?;
    let alive = caught.iter().filter(|caught| !**caught).count();
    let sum = Tally::sum(&tallies);
    println!("{}, {} of {} mutants caught", sum.total(), caught.len() - alive, caught.len());
    Ok(sum.is_well() && alive == 0)
}

/// Something that goes wrong.
enum Try {
    Injection(Injection),
    Shortage(Shortage),
    /// Another command, at a call of the first.
    Other(usize, Pair),
}

impl Try {
    fn all(subject: &Subject, all: bool) -> Vec<Self> {
        let mut tries: Vec<Self> = subject.injections(all).into_iter().map(Self::Injection).collect();
        // Elsewhere there is no telling what is left, and inodes are made when they are needed.
        if subject.machine.layout.root == Kind::Ext4 {
            tries.extend(Shortage::all().into_iter().map(Self::Shortage));
        }
        tries.extend(together::pairs(subject).into_iter().map(|(call, pair)| Self::Other(call, pair)));
        tries
    }

    fn run(&self, subject: &Subject, stand: &Stand, shop: &Shop<'_>) -> Result<Outcome> {
        let with = (shop.programs, shop.kit);
        match self {
            Self::Injection(injection) => {
                subject.disturb(injection, stand, with, injection.call.is_multiple_of(FSCK))
            }
            Self::Shortage(shortage) => space::starve(subject, *shortage, stand, with),
            Self::Other(call, pair) => together::race(subject, (*call, *pair), stand, with),
        }
    }

    fn describe(&self, subject: &Subject) -> String {
        match self {
            Self::Injection(injection) => subject.describe(injection),
            Self::Shortage(shortage) => format!("{}: all but {shortage:?} taken", subject.operation.name),
            Self::Other(call, pair) => {
                format!("{} and, at its call {call}, {}", subject.operation.name, pair.other)
            }
        }
    }
}

fn subject(
    shop: &Shop<'_>,
    operation: &'static Operation,
    layout: Layout,
    kit: &Kit,
    mutant: &str,
    stand: &Stand,
) -> Result<Subject> {
    let directory = shop.workshop.directory(&format!("faults/{}-{}", operation.name, mutant))?;
    let machine = Machine::prepare(layout, operation, shop.kit, &directory)?;
    Subject::new(operation, machine, kit, stand)
}

/// Makes a mistake in an operation, and says whether any failure shows it.
fn is_caught(shop: &Shop<'_>, mutant: &str, operation: &str, layout: Layout) -> Result<bool> {
    let operation = OPERATIONS.iter().find(|known| known.name == operation).context("No such operation")?;
    let directory = shop.workshop.directory(&format!("faults/{mutant}"))?;
    let kit = shop.kit.variant(&directory.join("kit"), Side::Ours, Some(mutant))?;
    let stand = Stand::new(layout, &directory.join("stand"))?;
    let subject = subject(shop, operation, layout, &kit, mutant, &stand)?;
    // The switch is at the end.
    for (count, injection) in
        subject.injections(true).iter().rev().filter(|injection| injection.is_harsh()).enumerate()
    {
        let outcome = subject.disturb(injection, &stand, (shop.programs, &kit), false)?;
        if let Some(problem) = outcome.problems.first() {
            let text: String = problem.text.chars().take(200).collect();
            println!("caught {mutant} by failure {count}, {}: {text}", subject.describe(injection));
            return Ok(true);
        }
    }
    println!("ALIVE  {mutant}");
    Ok(false)
}

/// Does something with each item, on several threads, each of which makes a tool for itself first; stops with the first error.
pub(crate) fn in_parallel<T: Sync, R: Send, Tool>(
    items: &[T],
    tool: impl Fn(usize) -> Result<Tool> + Sync,
    work: impl Fn(&Tool, &T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    // Most of the time is waiting for the kernel.
    let threads = 5 * std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let next = AtomicUsize::new(0);
    let worker = |number: usize| -> Result<Vec<(usize, R)>> {
        let tool = tool(number)?;
        let mut done = Vec::new();
        while let (index, Some(item)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            (index, items.get(index))
        } {
            let result = work(&tool, item).inspect_err(|_| next.store(items.len(), Ordering::Relaxed))?;
            done.push((index, result));
        }
        Ok(done)
    };
    let mut all = Vec::new();
    std::thread::scope(|scope| -> Result<()> {
        let worker = &worker;
        let running: Vec<_> =
            (0..threads.min(items.len())).map(|number| scope.spawn(move || worker(number))).collect();
        for thread in running {
            all.extend(thread.join().map_err(|_| anyhow!("a thread failed"))??);
        }
        Ok(())
    })?;
    all.sort_by_key(|(index, _)| *index);
    Ok(all.into_iter().map(|(_, result)| result).collect())
}
