// SPDX-License-Identifier: MIT OR Apache-2.0
//! The log of block writes, in the format of Linux' dm-log-writes, which QEMU's `blklogwrites` writes as well.
//!
//! ```text
//! sector 0     magic u64 · version u64 · number of entries u64 · sector size u32
//! then each    sector u64 · sectors u64 · flags u64 · data length u64 · data, one whole sector in all
//!              the data of the write, a whole number of sectors, unless it is a discard
//! ```
//!
//! All numbers are little-endian. Data stays in the file; an [`Event`] says where.

use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, ensure};
use fn_error_context::context;

/// `WRITE_LOG_MAGIC` of `drivers/md/dm-log-writes.c`.
const MAGIC: u64 = 0x006a_7366_7773_6872;
const VERSION: u64 = 1;
/// The bytes of an entry's head that mean something.
const HEAD: usize = 32;

/// The sectors that disks write whole: what a torn write consists of.
pub const SECTOR: u64 = 512;

mod flag {
    pub(super) const FLUSH: u64 = 1;
    pub(super) const FUA: u64 = 2;
    pub(super) const DISCARD: u64 = 4;
    pub(super) const MARK: u64 = 8;
}

/// One thing that reached the disk. Sectors have [`SECTOR`] bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Data was written; it may stay in the disk's cache until the next flush.
    Write {
        /// The first sector.
        sector: u64,
        /// How many.
        sectors: u64,
        /// Where the log has the data, in bytes.
        data: u64,
    },
    /// Sectors were given back, and read as zeros.
    Discard {
        /// The first sector.
        sector: u64,
        /// How many.
        sectors: u64,
    },
    /// Everything that was written before is on the disk.
    Flush,
    /// A note of the recorder: a write to the sector that is set aside for them.
    Marker(String),
}

/// Reads the log. `marker_sector` is where markers are written to; `disk_sectors` bounds every write.
#[context("Reading the log of writes")]
pub fn parse(log: &impl FileExt, length: u64, marker_sector: u64, disk_sectors: u64) -> Result<Vec<Event>> {
    let mut head = [0; HEAD];
    log.read_exact_at(&mut head, 0).context("Reading its head")?;
    let number = |head: &[u8; HEAD], index: usize| -> u64 {
        let bytes = head.iter().skip(index * 8).take(8).rev();
        bytes.fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    };
    ensure!(number(&head, 0) == MAGIC && number(&head, 1) == VERSION, "this is no log of writes");
    let entries = number(&head, 2);
    let sector_size = number(&head, 3) & u64::from(u32::MAX);
    ensure!(sector_size == SECTOR, "its sectors have {sector_size} bytes and not {SECTOR}");
    let mut events = Vec::new();
    let mut at = SECTOR;
    for index in 0..entries {
        let told = || format!("entry {index} at byte {at}");
        ensure!(at.checked_add(SECTOR).is_some_and(|end| end <= length), "{}: the log ends there", told());
        log.read_exact_at(&mut head, at).with_context(told)?;
        let [sector, sectors, flags] = [number(&head, 0), number(&head, 1), number(&head, 2)];
        let is_inside = sector.checked_add(sectors).is_some_and(|end| end <= disk_sectors);
        ensure!(is_inside, "{}: sectors {sector}+{sectors} are not on the disk", told());
        let data = at + SECTOR;
        let length_of_data = if flags & flag::DISCARD != 0 { 0 } else { sectors * SECTOR };
        ensure!(data.checked_add(length_of_data).is_some_and(|end| end <= length), "{}: cut off", told());
        if flags & flag::FLUSH != 0 {
            events.push(Event::Flush);
        }
        if flags & flag::DISCARD != 0 {
            events.push(Event::Discard { sector, sectors });
        } else if sector == marker_sector && sectors > 0 {
            let mut text = vec![0; usize::try_from(length_of_data.min(SECTOR))?];
            log.read_exact_at(&mut text, data).with_context(told)?;
            let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
            events.push(Event::Marker(String::from_utf8_lossy(text).into_owned()));
        } else if sectors > 0 && flags & flag::MARK == 0 {
            events.push(Event::Write { sector, sectors, data });
        }
        if flags & flag::FUA != 0 {
            events.push(Event::Flush);
        }
        at = data + length_of_data;
    }
    Ok(events)
}
