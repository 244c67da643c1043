// SPDX-License-Identifier: MIT OR Apache-2.0
//! One operation on one layout: recorded once, replayed as often as there is time.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::check::Checker;
use crate::cuts::{Effort, Epoch, Kept, Part, cuts, epochs};
use crate::disk::Layout;
use crate::kit::{Kit, Programs, Side};
use crate::log::Event;
use crate::machine::Machine;
use crate::mutant::FLUSH_DROPPED;
use crate::operation::Operation;
use crate::position::{commit_windows, describe};
use crate::random::Random;
use crate::record::{Recording, record};
use crate::replay::{Images, Key, Keys};
use crate::rules::{Fault, Problem};
use crate::workshop::Workshop;

/// What is tried.
#[derive(Debug, Clone)]
pub struct Row {
    /// What is done.
    pub operation: &'static Operation,
    /// On what.
    pub layout: Layout,
    /// With whose programs.
    pub side: Side,
    /// With which mistake on purpose.
    pub mutant: Option<&'static str>,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.operation.name, self.layout)?;
        if self.side == Side::Theirs {
            f.write_str(" theirs")?;
        }
        self.mutant.map_or(Ok(()), |mutant| write!(f, " {mutant}"))
    }
}

/// A state with something wrong.
#[derive(Debug, Clone)]
pub struct Finding {
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// Which state it is.
    pub place: String,
}

/// What was counted.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Distinct states that were checked.
    pub states: usize,
    /// Those that show neither old nor new.
    pub neither: usize,
    /// Those that boot, with something else broken.
    pub flagged: usize,
    /// Those that the kernel cannot mount.
    pub unmountable: usize,
    /// States by kind of problem, with the first place of each.
    pub findings: BTreeMap<String, (usize, Finding)>,
    /// How often programs were run: distinct trees of files after replay.
    pub runs: usize,
    /// Time for preparing, recording and checking.
    pub time: Duration,
}

/// When a row ends early.
#[derive(Debug, Clone)]
pub struct Limit {
    /// At this moment.
    pub until: Instant,
    /// With the first state that is wrong: for mutants.
    pub first_finding: bool,
    /// What is before the first switch is left out.
    pub windows_only: bool,
    /// Where the image of the first state of each kind that is wrong is kept.
    pub keep: Option<PathBuf>,
}

/// A recorded row.
pub struct Recorded {
    /// What it is.
    pub row: Row,
    kit: Kit,
    recording: Recording,
    directory: PathBuf,
    seen: HashSet<Key>,
    /// What was counted so far.
    pub tally: Tally,
}

impl Recorded {
    /// Prepares and records.
    pub fn new(row: Row, kit: &Kit, workshop: &Workshop) -> Result<Self> {
        let start = Instant::now();
        let name = row.to_string().replace(' ', "_");
        let directory = workshop.directory(&name)?;
        let run = || -> Result<(Kit, Recording)> {
            let mutant = row.mutant.filter(|name| *name != FLUSH_DROPPED);
            let kit = match (row.side, mutant) {
                (Side::Ours, None) => kit.clone(),
                (side, _) => kit.variant(&workshop.directory(&format!("{name}/kit"))?, side, mutant)?,
            };
            let machine = Machine::prepare(row.layout, row.operation, &kit, &directory)?;
            let mut recording = record(&machine, row.operation, &kit, &directory)?;
            if row.mutant == Some(FLUSH_DROPPED) {
                drop_flushes(&mut recording.events);
            }
            Ok((kit, recording))
        };
        let (with, recording) = run().with_context(|| row.to_string())?;
        // What follows a cut is done without mistakes.
        let kit = if row.mutant.is_some() { kit.clone() } else { with };
        let tally = Tally { time: start.elapsed(), ..Tally::default() };
        Ok(Self { row, kit, recording, directory, seen: HashSet::new(), tally })
    }

    /// Goes through the log once; says whether it came to its end.
    pub fn replay(&mut self, programs: &Programs, effort: &Effort, seed: u64, limit: &Limit) -> Result<bool> {
        let start = Instant::now();
        let done = self.go_through(programs, effort, seed, limit).with_context(|| self.row.to_string());
        self.tally.time += start.elapsed();
        done
    }

    fn go_through(&mut self, programs: &Programs, effort: &Effort, seed: u64, limit: &Limit) -> Result<bool> {
        let Self { row, kit, recording, directory, seen, tally } = self;
        let events = &recording.events;
        let images = Images::new(recording, directory)?;
        let mut keys = Keys::new(recording)?;
        let mut checker = Checker::new(recording, row.operation, programs, kit, &images.path, directory)?;
        let windows = commit_windows(recording);
        let first_window = windows.iter().map(|window| window.start).min().unwrap_or(0);
        for (number, epoch) in epochs(events).iter().enumerate() {
            let (Some(first), Some(last)) = (epoch.writes.first(), epoch.writes.last()) else { continue };
            if limit.windows_only && last.saturating_add(1) < first_window {
                keys.keep(events, &whole(epoch));
                images.keep(events, &whole(epoch))?;
                continue;
            }
            let is_inside = windows.iter().any(|window| window.start <= *last && *first < window.end);
            let never_torn = recording.layout.whole();
            let effort = Effort { exhaustive: effort.exhaustive && is_inside, whole: never_torn, ..*effort };
            let mut random = Random::new(seed.wrapping_mul(0x1_0000).wrapping_add(number as u64));
            for kept in cuts(epoch, events, &effort, &mut random) {
                if Instant::now() > limit.until {
                    return Ok(false);
                }
                if !seen.insert(keys.with(events, &kept)) {
                    continue;
                }
                images.make(events, &kept)?;
                let problems = checker.check().with_context(|| describe(recording, epoch, &kept))?;
                tally.states += 1;
                tally.runs = checker.runs;
                if !problems.is_empty() {
                    let place = || describe(recording, epoch, &kept);
                    if tally.add(problems, place)
                        && let Some(keep) = &limit.keep
                    {
                        images.make(events, &kept)?;
                        images.copy_to(
                            &keep.join(format!("{row}-{}.img", tally.findings.len()).replace(' ', "_")),
                        )?;
                    }
                    if limit.first_finding && tally.neither + tally.flagged > 0 {
                        return Ok(false);
                    }
                }
            }
            keys.keep(events, &whole(epoch));
            images.keep(events, &whole(epoch))?;
        }
        Ok(true)
    }

    /// How many events and epochs there are.
    pub fn size(&self) -> (usize, usize) {
        let writes = epochs(&self.recording.events);
        (writes.iter().map(|epoch: &Epoch| epoch.writes.len()).sum(), writes.len())
    }
}

/// All writes of an epoch.
fn whole(epoch: &Epoch) -> Vec<Kept> {
    epoch.writes.iter().map(|event| Kept { event: *event, part: Part::Whole }).collect()
}

/// Makes epochs that are longer than the disk's cache lets them be: of the flushes only one in so many counts.
fn drop_flushes(events: &mut Vec<Event>) {
    const KEPT: usize = 6;
    let mut count = 0;
    events.retain(|event| {
        count += usize::from(*event == Event::Flush);
        *event != Event::Flush || count % KEPT == 0
    });
}

impl Tally {
    /// Counts a state; says whether it is the first with this kind of problem.
    fn add(&mut self, problems: Vec<Problem>, place: impl FnOnce() -> String) -> bool {
        let is = |fault| problems.iter().any(|problem: &Problem| problem.fault == fault);
        if is(Fault::Neither) {
            self.neither += 1;
        } else if is(Fault::Flagged) {
            self.flagged += 1;
        } else {
            self.unmountable += 1;
        }
        let kind = problems.first().map_or_else(String::new, |problem| kind_of(&problem.text));
        let new = || (0, Finding { problems, place: place() });
        let entry = self.findings.entry(kind).or_insert_with(new);
        entry.0 += 1;
        entry.0 == 1
    }
}

/// The same problem at different places has the same beginning.
fn kind_of(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_digit()).take(60).collect()
}
