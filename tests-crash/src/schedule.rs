// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which row is visited when: always the one that has had the least time, a worker a row. So however long a run is, it is spread
//! over all rows.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::kit::{Kit, Programs};
use crate::place::Place;
use crate::report;
use crate::row::{Limit, Recorded, Row};
use crate::workshop::Workshop;

/// How many visits a row gets in about the time that there is.
const VISITS: u32 = 4;
/// A visit begins with making the disk as it was at the end of the last one.
const SHORTEST: Duration = Duration::from_secs(3);
const LONGEST: Duration = Duration::from_secs(60);
/// How often it is told how far all of it has come.
const TELL: Duration = Duration::from_secs(30);

/// The things that all rows share.
pub(crate) struct Shop<'a> {
    pub(crate) programs: &'a Programs,
    pub(crate) kit: &'a Kit,
    pub(crate) workshop: &'a Workshop,
    pub(crate) seed: u64,
}

/// Visits all rows for as long as there is time.
pub(crate) fn run(shop: &Shop<'_>, rows: Vec<Row>, limit: &Limit) -> Result<Vec<Place>> {
    let start = Instant::now();
    let count = u32::try_from(rows.len())?.max(1);
    // A worker waits now and then: for the disk that is unmounted, and for programs.
    let workers = 2 * std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let all = limit.until.saturating_duration_since(start) * u32::try_from(workers)?;
    let visit = (all / count / VISITS).clamp(SHORTEST, LONGEST);
    // A row that is being visited is taken out.
    let places: Mutex<Vec<Option<Place>>> =
        Mutex::new(rows.into_iter().map(|row| Some(Place::Waiting(row))).collect());
    let told = Mutex::new(start);
    let work = |number: usize| -> Result<()> {
        let directory = shop.workshop.directory(&format!("worker-{number}"))?;
        while let Some((index, mut place)) = next(&places, limit.until) {
            step(shop, &mut place, &directory, limit, visit);
            let mut places = places.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(free) = places.get_mut(index) {
                *free = Some(place);
            }
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.elapsed() > TELL {
                *told = Instant::now();
                let there: Vec<&Place> = places.iter().flatten().collect();
                println!("{}", report::progress(&there, start.elapsed()));
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..workers).map(|number| scope.spawn(move || work(number))).collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(done) => done,
            Err(_) => anyhow::bail!("a worker has panicked"),
        })
    })?;
    let places = places.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(places.into_iter().flatten().collect())
}

/// Takes out the row that has had the least time; waits if others have all that could still be visited.
fn next(places: &Mutex<Vec<Option<Place>>>, until: Instant) -> Option<(usize, Place)> {
    while Instant::now() < until {
        let mut places = places.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = places.iter().enumerate().filter_map(|(index, place)| {
            let time = place.as_ref()?.time()?;
            Some((time, index))
        });
        if let Some((_, index)) = wanted.min() {
            return Some((index, places.get_mut(index)?.take()?));
        }
        if places.iter().all(Option::is_some) {
            return None;
        }
        drop(places);
        std::thread::sleep(Duration::from_millis(20));
    }
    None
}

fn step(shop: &Shop<'_>, place: &mut Place, directory: &Path, limit: &Limit, visit: Duration) {
    if let Place::Waiting(row) = place {
        *place = match Recorded::new(row.clone(), shop.kit, shop.workshop) {
            Ok(recorded) => Place::Ready(Box::new(recorded)),
            Err(error) => Place::Failed(row.clone(), format!("{error:#}")),
        };
    }
    let Place::Ready(recorded) = place else { return };
    // Behind the recording, which may take longer than a visit.
    let limit = &Limit { until: limit.until.min(Instant::now() + visit), ..limit.clone() };
    while !recorded.is_done && Instant::now() < limit.until {
        if let Err(error) = recorded.visit(shop.programs, directory, shop.seed, limit) {
            *place = Place::Failed(recorded.row.clone(), format!("{error:#}"));
            return;
        }
    }
}
