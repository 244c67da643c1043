// SPDX-License-Identifier: MIT OR Apache-2.0
//! The states that a power cut may leave of a log of writes.
//!
//! A disk keeps what was written before the last flush that it has confirmed. Of what came after, it keeps any part: writes are
//! lost, later ones survive earlier ones, and one may be torn between sectors. Between two flushes is an *epoch*.

use std::ops::Range;

use crate::log::Event;
use crate::random::Random;

/// Of an epoch with more writes not all subsets are made.
pub const ALL_SUBSETS: usize = 12;

/// Which of a write's sectors are on the disk.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Part {
    /// All.
    Whole,
    /// These, counted from the first of the write.
    Sectors(Range<u64>),
}

/// One thing that is on the disk: an event by its index.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Kept {
    /// Which event.
    pub event: usize,
    /// How much of it.
    pub part: Part,
}

/// Everything between two flushes: indices of writes and discards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Epoch {
    /// The events, in their order.
    pub writes: Vec<usize>,
}

/// The epochs of a log. Without flushes, as with a disk that ignores them, there is only one.
pub fn epochs(events: &[Event]) -> Vec<Epoch> {
    let mut epochs = vec![Epoch::default()];
    for (index, event) in events.iter().enumerate() {
        match event {
            Event::Write { .. } | Event::Discard { .. } => {
                if let Some(epoch) = epochs.last_mut() {
                    epoch.writes.push(index);
                }
            }
            Event::Flush if epochs.last().is_some_and(|epoch| !epoch.writes.is_empty()) => {
                epochs.push(Epoch::default());
            }
            Event::Flush | Event::Marker(_) => {}
        }
    }
    epochs.retain(|epoch| !epoch.writes.is_empty());
    epochs
}

/// How thoroughly an epoch is gone through. All of it, and nothing of it, is left in any case.
#[derive(Debug, Clone, Default)]
pub struct Effort {
    /// Sectors that are never torn.
    pub whole: Vec<Range<u64>>,
    /// Every prefix of its writes.
    pub prefixes: bool,
    /// How many random parts of it.
    pub samples: usize,
    /// All subsets, of an epoch with at most so many writes; at most [`ALL_SUBSETS`].
    pub subsets: usize,
}

/// Lists the subsets of an epoch that may be left.
pub fn cuts(epoch: &Epoch, events: &[Event], effort: &Effort, random: &mut Random) -> Vec<Vec<Kept>> {
    let writes = &epoch.writes;
    let whole = |event: &usize| Kept { event: *event, part: Part::Whole };
    let lengths = if effort.prefixes { 1 } else { writes.len().max(1) };
    let prefix = |length: usize| writes.iter().take(length).map(whole).collect();
    let mut cuts: Vec<_> = (0..=writes.len()).step_by(lengths).map(prefix).collect();
    if writes.len() <= effort.subsets.min(ALL_SUBSETS) {
        let subsets = 1_usize << writes.len();
        let chosen = |set: usize| move |(bit, _): &(usize, &usize)| set & (1 << bit) != 0;
        cuts.extend((0..subsets).map(|set| {
            let chosen = writes.iter().enumerate().filter(chosen(set));
            chosen.map(|(_, event)| whole(event)).collect()
        }));
    }
    for sample in 0..effort.samples {
        cuts.push(some(writes, events, &effort.whole, sample, random));
    }
    cuts
}

/// A random part, of one of several shapes in turn.
fn some(
    writes: &[usize],
    events: &[Event],
    whole: &[Range<u64>],
    shape: usize,
    random: &mut Random,
) -> Vec<Kept> {
    let mut kept: Vec<usize> = match shape % 4 {
        // Any subset.
        0 => writes.iter().copied().filter(|_| random.one_in(2)).collect(),
        // All but a few.
        1 => writes.iter().copied().filter(|_| !random.one_in(writes.len().min(8))).collect(),
        // A prefix, less one that came before its end.
        2 => {
            let mut kept: Vec<_> = writes.iter().copied().take(random.below(writes.len() + 1)).collect();
            if !kept.is_empty() {
                kept.remove(random.below(kept.len()));
            }
            kept
        }
        // Only a few.
        _ => writes.iter().copied().filter(|_| random.one_in(8)).collect(),
    };
    kept.dedup();
    let mut kept: Vec<_> = kept.into_iter().map(|event| Kept { event, part: Part::Whole }).collect();
    // Half of them have a torn write.
    if random.one_in(2) {
        let at = random.below(kept.len());
        if let Some(torn) = kept.get_mut(at) {
            torn.part = tear(events.get(torn.event), whole, random);
        }
    }
    kept
}

/// A part of a write: its beginning or its end.
fn tear(event: Option<&Event>, whole: &[Range<u64>], random: &mut Random) -> Part {
    let Some(Event::Write { sector, sectors, .. }) = event else { return Part::Whole };
    let is_whole = whole.iter().any(|range| range.start < sector + sectors && *sector < range.end);
    if *sectors < 2 || is_whole {
        return Part::Whole;
    }
    let middle = 1 + random.number() % (sectors - 1);
    Part::Sectors(if random.one_in(2) { 0..middle } else { middle..*sectors })
}
