// SPDX-License-Identifier: MIT OR Apache-2.0
//! One operation on one layout: recorded once, and visited for as long as there is time.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::check::{Checker, Known};
use crate::cuts::{Effort, Epoch, Kept, Part, cuts, epochs};
use crate::disk::Layout;
use crate::kit::{Kit, Programs, Side};
use crate::log::Event;
use crate::machine::Machine;
use crate::mutant::FLUSH_DROPPED;
use crate::operation::Operation;
use crate::pass::{self, Position};
use crate::position::{commit_windows, describe};
use crate::random::Random;
use crate::record::{Recording, record};
use crate::replay::{Images, Key, Keys};
use crate::rules::{Fault, Problem};
use crate::workshop::{Room, Workshop};

/// The combination that is tried.
#[derive(Debug, Clone)]
pub struct Row {
    /// The operation.
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
    /// The faults.
    pub problems: Vec<Problem>,
    /// Which state it is.
    pub place: String,
}

/// The counts of a row.
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
    /// Of these, how often Debian's programs as well.
    pub peer: usize,
    /// Time for preparing, recording and checking.
    pub time: Duration,
}

/// When a visit to a row ends.
#[derive(Debug, Clone)]
pub struct Limit {
    /// At this moment.
    pub until: Instant,
    /// After so many passes.
    pub passes: usize,
    /// With the first state that is wrong: for mutants.
    pub first_finding: bool,
    /// Leaves out the states before the first switch.
    pub windows_only: bool,
    /// Where the image of the first state of each kind that is wrong is kept.
    pub keep: Option<PathBuf>,
}

/// A recorded row.
pub struct Recorded {
    /// The row.
    pub row: Row,
    kit: Kit,
    recording: Recording,
    /// Has the disk before the operation, and the log.
    _room: Room,
    epochs: Vec<Epoch>,
    /// In which events there is a switch.
    windows: Vec<Range<usize>>,
    keys: Keys,
    seen: HashSet<Key>,
    known: Known,
    /// How far it has come.
    pub position: Position,
    /// States at the begin of this pass.
    states_before: usize,
    /// Whether there is nothing more to be tried.
    pub is_done: bool,
    /// The counts so far.
    pub tally: Tally,
}

impl Recorded {
    /// Prepares and records.
    pub fn new(row: Row, kit: &Kit, workshop: &Workshop) -> Result<Self> {
        let start = Instant::now();
        let name = row.to_string().replace(' ', "_");
        let room = workshop.room(&name)?;
        let directory = room.path();
        let run = || -> Result<(Kit, Recording)> {
            let mutant = row.mutant.filter(|name| *name != FLUSH_DROPPED);
            let kit = match (row.side, mutant) {
                (Side::Ours, None) => kit.clone(),
                (side, _) => kit.variant(&workshop.directory(&format!("{name}/kit"))?, side, mutant)?,
            };
            let machine = Machine::prepare(row.layout, row.operation, &kit, directory)?;
            let mut recording = record(&machine, row.operation, &kit, directory)?;
            if row.mutant == Some(FLUSH_DROPPED) {
                drop_flushes(&mut recording.events);
            }
            Ok((kit, recording))
        };
        let (with, recording) = run().with_context(|| row.to_string())?;
        // The commands after a cut run without mistakes.
        let kit = if row.mutant.is_some() { kit.clone() } else { with };
        let mut this = Self {
            epochs: epochs(&recording.events),
            windows: commit_windows(&recording),
            keys: Keys::new(&recording)?,
            known: Known::for_side(row.side),
            row,
            kit,
            recording,
            _room: room,
            seen: HashSet::new(),
            position: Position::default(),
            states_before: 0,
            is_done: false,
            tally: Tally::default(),
        };
        if let Some(problem) = this.recording.freezes_the_root(this.row.operation) {
            this.tally.add(vec![problem], || "while it was recorded".to_owned());
        }
        this.tally.time = start.elapsed();
        Ok(this)
    }

    /// Goes on with the passes until the limit, in `directory`, where images are made.
    pub fn visit(&mut self, programs: &Programs, directory: &Path, seed: u64, limit: &Limit) -> Result<()> {
        let start = Instant::now();
        let done = self.go_on(programs, directory, seed, limit).with_context(|| self.row.to_string());
        self.tally.time += start.elapsed();
        done
    }

    fn go_on(&mut self, programs: &Programs, directory: &Path, seed: u64, limit: &Limit) -> Result<()> {
        let Self { row, kit, recording, epochs, windows, keys, seen, known, position, tally, .. } = self;
        let events = &recording.events;
        let mut images = Images::new(recording, directory)?;
        keys.rewind();
        for epoch in epochs.iter().take(position.epoch) {
            keys.keep(events, &whole(epoch));
            images.keep(events, &whole(epoch))?;
        }
        let mut checker =
            Checker::new(recording, row.operation, programs, kit, known, &images.path, directory)?;
        let first_window = windows.iter().map(|window| window.start).min().unwrap_or(0);
        while let Some(epoch) = epochs.get(position.epoch) {
            let first = epoch.writes.first().copied().unwrap_or_default();
            let last = epoch.writes.last().copied().unwrap_or_default();
            let is_left_out = limit.windows_only && last.saturating_add(1) < first_window;
            let at_switch = windows.iter().any(|window| window.start <= last && first < window.end);
            let effort = pass::effort(position.pass, at_switch, recording.layout.whole());
            let number = position.pass * 0x1_0000 + position.epoch;
            let mut random = Random::new(seed.wrapping_mul(0x1_0000_0000).wrapping_add(number as u64));
            let cuts = match effort.filter(|_| !is_left_out) {
                Some(effort) => cuts(epoch, events, &effort, &mut random),
                None => Vec::new(),
            };
            for kept in cuts.iter().skip(position.cut) {
                if Instant::now() > limit.until {
                    return Ok(());
                }
                position.cut += 1;
                if !seen.insert(keys.with(events, kept)) {
                    continue;
                }
                images.make(events, kept)?;
                let problems = checker.check().with_context(|| describe(recording, epoch, kept))?;
                tally.states += 1;
                (tally.runs, tally.peer) = checker.runs();
                if problems.is_empty() {
                    continue;
                }
                let is_first = tally.add(problems, || describe(recording, epoch, kept));
                if let Some(keep) = limit.keep.as_ref().filter(|_| is_first) {
                    images.make(events, kept)?;
                    let name = format!("{row}-{}.img", tally.findings.len());
                    images.copy_to(&keep.join(name.replace(' ', "_")))?;
                }
                if limit.first_finding && tally.neither + tally.flagged > 0 {
                    return Ok(());
                }
            }
            keys.keep(events, &whole(epoch));
            images.keep(events, &whole(epoch))?;
            (position.epoch, position.cut) = (position.epoch + 1, 0);
        }
        // The next visit begins the next pass.
        let is_exhausted = position.pass >= pass::LAST && tally.states == self.states_before;
        self.states_before = tally.states;
        *position = position.next_pass();
        self.is_done = is_exhausted || position.pass >= limit.passes;
        Ok(())
    }

    /// Makes some states, in order, one in each of as many parts of the log, and calls `each` with the image and what it is.
    pub(crate) fn some_states(
        &self,
        directory: &Path,
        count: usize,
        seed: u64,
        mut each: impl FnMut(&Path, &str) -> Result<()>,
    ) -> Result<()> {
        let Self { recording, epochs, .. } = self;
        let events = &recording.events;
        let mut images = Images::new(recording, directory)?;
        let mut random = Random::new(seed);
        let part = epochs.len().div_ceil(count.max(1)).max(1);
        for (number, epoch) in epochs.iter().enumerate() {
            // The last one of each part: the switch is at the end.
            if (number + 1) % part == 0 || number + 1 == epochs.len() {
                let effort = Effort { whole: recording.layout.whole(), samples: 1, ..Effort::default() };
                if let Some(kept) = cuts(epoch, events, &effort, &mut random).last() {
                    images.make(events, kept)?;
                    each(&images.path, &describe(recording, epoch, kept))?;
                }
            }
            images.keep(events, &whole(epoch))?;
        }
        Ok(())
    }

    /// How many events and epochs there are.
    pub fn size(&self) -> (usize, usize) {
        (self.epochs.iter().map(|epoch| epoch.writes.len()).sum(), self.epochs.len())
    }
}

/// All writes of an epoch.
fn whole(epoch: &Epoch) -> Vec<Kept> {
    epoch.writes.iter().map(|event| Kept { event: *event, part: Part::Whole }).collect()
}

/// Makes epochs that are longer than the disk's cache lets them be: of the flushes only one in so many counts.
fn drop_flushes(events: &mut Vec<Event>) {
    const KEPT: usize = 24;
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
