// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which rows are gone through when: in rounds, a row a thread.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::cuts::Effort;
use crate::kit::{Kit, Programs};
use crate::row::{Limit, Recorded, Row};
use crate::workshop::Workshop;

/// A row on its way.
pub(crate) enum Place {
    /// Its turn has not come.
    Waiting(Row),
    /// It was recorded; how many rounds it has gone through.
    Ready(Box<Recorded>, usize),
    /// The test itself failed.
    Failed(Row, String),
}

/// What all rows share.
pub(crate) struct Shop<'a> {
    pub(crate) programs: &'a Programs,
    pub(crate) kit: &'a Kit,
    pub(crate) workshop: &'a Workshop,
    pub(crate) seed: u64,
}

/// Goes through all rows, first quickly, then ever more thoroughly, for as long as there is time. `tell` is called after
/// each row and round.
pub(crate) fn run(
    shop: &Shop<'_>,
    rows: Vec<Row>,
    limit: &Limit,
    rounds: usize,
    tell: impl Fn(&Place) + Sync,
) -> Vec<Place> {
    let places: Vec<Mutex<Place>> = rows.into_iter().map(|row| Mutex::new(Place::Waiting(row))).collect();
    // Most of a row's time is waiting for the kernel, which unmounts only after all processors have come by.
    let threads = 4 * std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    for round in (0..rounds).take_while(|_| Instant::now() < limit.until) {
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..threads.min(places.len()) {
                scope.spawn(|| {
                    while let Some(place) = places.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if Instant::now() > limit.until {
                            break;
                        }
                        if let Ok(mut place) = place.lock() {
                            step(shop, &mut place, limit, round);
                            tell(&place);
                        }
                    }
                });
            }
        });
    }
    places.into_iter().filter_map(|place| place.into_inner().ok()).collect()
}

/// The work of one round.
fn effort(round: usize) -> Effort {
    Effort {
        whole: Vec::new(),
        prefixes: round == 0,
        samples: if round == 0 { 2 } else { 8 },
        exhaustive: round == 1,
    }
}

fn step(shop: &Shop<'_>, place: &mut Place, limit: &Limit, round: usize) {
    if let Place::Waiting(row) = place {
        *place = match Recorded::new(row.clone(), shop.kit, shop.workshop) {
            Ok(recorded) => Place::Ready(Box::new(recorded), 0),
            Err(error) => Place::Failed(row.clone(), format!("{error:#}")),
        };
    }
    let Place::Ready(recorded, done) = place else { return };
    let seed = shop.seed.wrapping_mul(1000).wrapping_add(round as u64);
    match recorded.replay(shop.programs, &effort(round), seed, limit) {
        Ok(complete) => *done += usize::from(complete),
        Err(error) => *place = Place::Failed(recorded.row.clone(), format!("{error:#}")),
    }
}
