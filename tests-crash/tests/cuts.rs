// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a log to epochs, and to the states that a power cut may leave of each.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

use std::collections::HashSet;

use proptest::prelude::*;
use tests_crash::cuts::{Effort, Epoch, Part, cuts, epochs};
use tests_crash::log::Event;
use tests_crash::random::Random;

fn write(sector: u64) -> Event {
    Event::Write { sector, sectors: 8, data: 0 }
}

fn effort(prefixes: bool, samples: usize, subsets: usize) -> Effort {
    Effort { whole: std::iter::once(0..8).collect(), prefixes, samples, subsets }
}

#[test]
fn epochs_end_at_flushes() {
    let tick = Event::Marker("tick".to_owned());
    let events = [
        tick.clone(),
        write(0),
        write(8),
        Event::Flush,
        tick,
        Event::Flush,
        Event::Discard { sector: 0, sectors: 8 },
    ];
    let writes: Vec<_> = epochs(&events).into_iter().map(|epoch| epoch.writes).collect();
    assert_eq!(writes, [vec![1, 2], vec![6]]);
}

#[test]
fn all_subsets_of_a_few_writes() {
    let events: Vec<_> = (1..=5).map(|n| write(8 * n)).collect();
    let epoch = Epoch { writes: (0..5).collect() };
    let made = cuts(&epoch, &events, &effort(true, 0, 5), &mut Random::new(1));
    let distinct: HashSet<_> = made.into_iter().collect();
    assert_eq!(distinct.len(), 32);
    let made = cuts(&epoch, &events, &effort(true, 0, 4), &mut Random::new(1));
    assert_eq!(made.len(), 6, "it has more than four writes");
    let made = cuts(&epoch, &events, &effort(false, 0, 0), &mut Random::new(1));
    assert_eq!(made.iter().map(Vec::len).collect::<Vec<_>>(), [0, 5]);
}

#[test]
fn the_same_seed_makes_the_same_cuts() {
    let events: Vec<_> = (1..=50).map(|n| write(8 * n)).collect();
    let epoch = Epoch { writes: (0..50).collect() };
    let make = |seed| cuts(&epoch, &events, &effort(false, 40, 0), &mut Random::new(seed));
    assert_eq!(make(7), make(7));
    assert_ne!(make(7), make(8));
    let torn = make(7).iter().flatten().filter(|kept| kept.part != Part::Whole).count();
    assert!(torn > 0, "none of 40 samples has a torn write");
}

proptest! {
    /// Nothing is kept twice, in another order, or that was not written; what must not be torn is whole.
    #[test]
    fn only_what_a_disk_may_do(count in 0..40_usize, seed in any::<u64>(), subsets in 0..8_usize) {
        let events: Vec<_> = (0..count as u64).map(|n| write(8 * n)).collect();
        let epoch = Epoch { writes: (0..count).collect() };
        for kept in cuts(&epoch, &events, &effort(true, 8, subsets), &mut Random::new(seed)) {
            prop_assert!(kept.windows(2).all(|pair| pair[0].event < pair[1].event));
            for one in kept {
                prop_assert!(one.event < count);
                if let Part::Sectors(range) = one.part {
                    prop_assert!(one.event != 0 && range.start < range.end && range.end <= 8);
                }
            }
        }
    }
}
