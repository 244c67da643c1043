// SPDX-License-Identifier: MIT OR Apache-2.0
//! The log of block writes: no bytes whatever are read beyond the disk or the log, and what is cut of it is in order.
#![no_main]

use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::FileExt;

use libfuzzer_sys::fuzz_target;
use tests_crash::cuts::{Effort, Part, cuts, epochs};
use tests_crash::log::{Event, SECTOR, parse};
use tests_crash::random::Random;

/// Sectors of the disk; the last one is for markers.
const SECTORS: u64 = 64;

/// A file in memory.
struct Bytes<'a>(&'a [u8]);

impl FileExt for Bytes<'_> {
    fn read_at(&self, to: &mut [u8], offset: u64) -> Result<usize> {
        let from = usize::try_from(offset).ok().and_then(|offset| self.0.get(offset..)).unwrap_or_default();
        let count = from.len().min(to.len());
        to[..count].copy_from_slice(&from[..count]);
        Ok(count)
    }

    fn write_at(&self, _: &[u8], _: u64) -> Result<usize> {
        Err(Error::from(ErrorKind::ReadOnlyFilesystem))
    }
}

/// A log whose heads are right: of each three bytes an entry, with the numbers made small.
fn log_of(data: &[u8]) -> Vec<u8> {
    let sector = |numbers: &[u64]| -> Vec<u8> {
        let mut bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        bytes.resize(512, 0);
        bytes
    };
    let entries = data.chunks_exact(3);
    let mut log = sector(&[0x006a_7366_7773_6872, 1, entries.len() as u64, SECTOR]);
    for entry in entries {
        let (at, sectors, flags) = (u64::from(entry[0]) % 80, u64::from(entry[1]) % 10, u64::from(entry[2]));
        log.extend(sector(&[at, sectors, flags, 0]));
        if flags & 4 == 0 {
            log.resize(log.len() + usize::try_from(sectors * SECTOR).expect("it is small"), entry[0]);
        }
    }
    log
}

fn read(log: &[u8]) {
    let Ok(events) = parse(&Bytes(log), log.len() as u64, SECTORS - 1, SECTORS) else { return };
    for event in &events {
        if let Event::Write { sector, sectors, data } = event {
            assert!(sector + sectors <= SECTORS && data + sectors * SECTOR <= log.len() as u64);
        }
    }
    let effort = Effort { prefixes: true, samples: 4, subsets: 4, ..Effort::default() };
    for epoch in epochs(&events) {
        for kept in cuts(&epoch, &events, &effort, &mut Random::new(log.len() as u64)) {
            assert!(kept.windows(2).all(|pair| pair[0].event < pair[1].event));
            for one in kept {
                if let (Part::Sectors(range), Event::Write { sectors, .. }) = (one.part, &events[one.event]) {
                    assert!(range.start < range.end && range.end <= *sectors);
                }
            }
        }
    }
}

fuzz_target!(|data: &[u8]| {
    read(data);
    read(&log_of(data));
});
