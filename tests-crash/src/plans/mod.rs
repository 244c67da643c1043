// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether a plan is what happens: each command of each operation prints its plan, then it runs under `strace`, and every change
//! that it makes to a file system must fall under exactly one step of that plan, in the order of the steps.
//!
//! ```text
//! plan      COMMAND --dry-run --json       traced as well: it changes nothing, and runs no program
//! run       strace -f -y COMMAND
//! compare   changes ──▶ the step that names the path, or a whole directory that it makes or removes
//! ```
//!
//! Whether it can see is part of every run: each step is left out of each plan in turn, and programs that hide a kind of step from
//! what they print are run.

use std::fmt;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::disk::{Kind, Layout};
use crate::faults::in_parallel;
use crate::faults::stand::Stand;
use crate::kit::{Kit, Side};
use crate::loader::Loader;
use crate::machine::Machine;
use crate::operation::{OPERATIONS, Operation};
use crate::schedule::Shop;

pub mod change;
pub mod exceptions;
pub mod step;
pub mod syntax;
pub mod tally;
mod traced;
pub mod view;

use traced::{Traced, trace};

/// Mistakes that must be seen: the name for `DURABLE_MUTANT`, and an operation that shows it.
const MUTANTS: [(&str, &str); 4] = [
    ("plan-hides-refs", "deploy"),
    ("plan-hides-removals", "deploy"),
    ("plan-hides-files", "pin"),
    ("plan-hides-switch", "undeploy"),
];

/// Where more than entries is written: an operation, and a file system for all of it, or two.
const WITH_LOADERS: [(&str, bool, Loader); 6] = [
    ("deploy", false, Loader::Grub),
    ("stage", false, Loader::Grub),
    ("deploy", true, Loader::GrubGenerated),
    ("deploy", true, Loader::Extlinux),
    ("kargs", false, Loader::Extlinux),
    ("undeploy", true, Loader::Grub),
];

/// Which operations are traced.
#[derive(Debug, Clone, Default, Args)]
pub struct Options {
    /// Only these operations, without mutants
    #[arg(long, value_name = "OP,…", value_delimiter = ',')]
    only: Vec<String>,
    /// Print every step, every change and what is different
    #[arg(long)]
    tell: bool,
}

/// An operation on a layout.
struct Row {
    operation: &'static Operation,
    layout: Layout,
}

/// Traces operations and tells what came of it; says whether nothing was found.
pub(crate) fn run(shop: &Shop<'_>, options: &Options) -> Result<bool> {
    let rows = rows(&options.only)?;
    let all = in_parallel(&rows, Ok, |worker, row| trace_row(shop, shop.kit, "as-it-is", *worker, row))?;
    println!(
        "\n{:<19} {:<20} {:>5} {:>7} {:>9} {:>5} {:>5} {:>4} {:>8} {:>8}",
        "operation", "on", "steps", "changes", "uncovered", "order", "twice", "idle", "planning", "unmissed"
    );
    let (mut found, mut left_out) = (Vec::new(), 0);
    for (row, commands) in rows.iter().zip(&all) {
        println!("{}", line(row, commands));
        for command in commands {
            if options.tell {
                tell(command);
            }
            left_out += command.left_out;
            found
                .extend(command.findings.iter().map(|finding| format!("{row}: {}: {finding}", command.line)));
        }
    }
    found.iter().for_each(|line| println!("  {line}"));
    let mutants = if options.only.is_empty() { &MUTANTS[..] } else { &[] };
    let caught = in_parallel(mutants, Ok, |worker, mutant| is_caught(shop, *worker, mutant))?;
    let alive = caught.iter().filter(|caught| !**caught).count();
    println!(
        "{} findings, {left_out} steps left out in turn, {} of {} mutants caught",
        found.len(),
        caught.len() - alive,
        caught.len()
    );
    Ok(found.is_empty() && alive == 0)
}

fn rows(only: &[String]) -> Result<Vec<Row>> {
    let is_chosen = |operation: &Operation| {
        // Of programs that run at once the calls of one are not told from those of the other; they are those of `stage`.
        !operation.at_once && (only.is_empty() || only.iter().any(|name| name == operation.name))
    };
    let layout = |split: bool| Layout::new(Kind::Ext4, split.then_some(Kind::Ext4));
    let mut rows = Vec::new();
    for operation in OPERATIONS.iter().filter(|operation| is_chosen(operation)) {
        let both = [false, true].into_iter().filter(|split| !split || operation.in_boot);
        rows.extend(both.map(|split| Row { operation, layout: layout(split) }));
        let loaders = WITH_LOADERS.iter().filter(|(name, ..)| *name == operation.name);
        rows.extend(
            loaders.map(|(_, split, loader)| Row { operation, layout: layout(*split).with(*loader) }),
        );
    }
    ensure!(!rows.is_empty(), "there is no such operation");
    Ok(rows)
}

fn trace_row(shop: &Shop<'_>, kit: &Kit, variant: &str, worker: usize, row: &Row) -> Result<Vec<Traced>> {
    let Row { operation, layout } = row;
    let directory =
        shop.workshop.directory(&format!("plans/{variant}-{worker}-{}-{layout}", operation.name))?;
    let machine = Machine::prepare(*layout, operation, shop.kit, &directory)?;
    let stand = Stand::new(*layout, &directory.join("stand"))?;
    let traced = trace(operation, &machine, kit, &stand).with_context(|| row.to_string())?;
    drop(stand);
    std::fs::remove_dir_all(&directory).with_context(|| format!("Removing {}", directory.display()))?;
    Ok(traced)
}

/// Hides steps from what is printed, and says whether that is seen.
fn is_caught(shop: &Shop<'_>, worker: usize, (mutant, name): &(&str, &str)) -> Result<bool> {
    let operation = OPERATIONS.iter().find(|known| known.name == *name).context("No such operation")?;
    let directory = shop.workshop.directory(&format!("plans/kit-{mutant}"))?;
    let kit = shop.kit.variant(&directory.join("kit"), Side::Ours, Some(mutant))?;
    let row = Row { operation, layout: Layout::new(Kind::Ext4, None) };
    let traced = trace_row(shop, &kit, mutant, worker, &row)?;
    let found = traced.iter().flat_map(|command| &command.findings).next();
    match found {
        Some(finding) => println!("caught {mutant} in {name}: {finding}"),
        None => println!("ALIVE  {mutant}"),
    }
    Ok(found.is_some())
}

fn line(row: &Row, commands: &[Traced]) -> String {
    let sum = |count: &dyn Fn(&Traced) -> usize| commands.iter().map(count).sum::<usize>();
    let of =
        |kind: &str| sum(&|command| command.findings.iter().filter(|finding| finding.kind() == kind).count());
    format!(
        "{:<19} {:<20} {:>5} {:>7} {:>9} {:>5} {:>5} {:>4} {:>8} {:>8}",
        row.operation.name,
        row.layout.to_string(),
        sum(&|command| command.steps.len()),
        sum(&|command| command.changes.len()),
        of("uncovered"),
        of("out of order"),
        of("twice"),
        of("idle step"),
        of("while planning"),
        of("not missed"),
    )
}

fn tell(command: &Traced) {
    println!("  {}", command.line);
    let assigned = tally::assign(&command.steps, &command.changes);
    for (at, step) in command.steps.iter().enumerate() {
        let count = assigned.iter().filter(|step| **step == Some(at)).count();
        println!("    {at:>3} {step}: {count}");
    }
    for (change, step) in command.changes.iter().zip(&assigned) {
        println!("    {:>3} {change}", step.map_or_else(|| "-".to_owned(), |step| step.to_string()));
    }
    command.findings.iter().for_each(|finding| println!("    {finding}"));
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.operation.name, self.layout)
    }
}
