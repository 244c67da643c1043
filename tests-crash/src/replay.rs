// SPDX-License-Identifier: MIT OR Apache-2.0
//! Disks as a power cut leaves them, and how to know one again without making it.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use fn_error_context::context;
use rustix::fs::FallocateFlags;
use sha2::{Digest, Sha256};

use crate::cuts::{Kept, Part};
use crate::image::Image;
use crate::log::{Event, SECTOR};
use crate::program::run;
use crate::record::Recording;
use crate::workshop::text;

/// The identity of a disk state: the sectors that differ from those before the operation.
pub type Key = u128;

/// Knows a state by its key without making it.
#[derive(Debug)]
pub struct Keys {
    /// Of each event, the hash of each sector.
    hashes: Vec<Vec<u128>>,
    /// The contents that each sector that is ever written had before.
    base: HashMap<u64, u128>,
    /// The contents that it has now.
    durable: HashMap<u64, u128>,
    key: Key,
}

impl Keys {
    /// Reads the log.
    #[context("Reading what was written")]
    pub fn new(recording: &Recording) -> Result<Self> {
        let (log, image) = (File::open(&recording.log)?, File::open(&recording.base)?);
        let mut sector_bytes = [0; SECTOR as usize];
        let zeros = hash(&sector_bytes);
        let (mut hashes, mut base) = (Vec::new(), HashMap::new());
        for event in &recording.events {
            let mut of_event = Vec::new();
            let (first, sectors, data) = match event {
                Event::Write { sector, sectors, data } => (*sector, *sectors, Some(*data)),
                Event::Discard { sector, sectors } => (*sector, *sectors, None),
                Event::Flush | Event::Marker(_) => (0, 0, None),
            };
            for index in 0..sectors {
                of_event.push(match data {
                    Some(data) => {
                        log.read_exact_at(&mut sector_bytes, data + index * SECTOR)?;
                        hash(&sector_bytes)
                    }
                    None => zeros,
                });
                if let std::collections::hash_map::Entry::Vacant(place) = base.entry(first + index) {
                    image.read_exact_at(&mut sector_bytes, (first + index) * SECTOR)?;
                    place.insert(hash(&sector_bytes));
                }
            }
            hashes.push(of_event);
        }
        Ok(Self { hashes, base, durable: HashMap::new(), key: 0 })
    }

    /// Forgets what was made durable.
    pub fn rewind(&mut self) {
        self.durable.clear();
        self.key = 0;
    }

    /// The key of what is durable with some more writes.
    pub fn with(&self, events: &[Event], kept: &[Kept]) -> Key {
        let mut now: HashMap<u64, u128> = HashMap::new();
        let mut key = self.key;
        for one in kept {
            for (sector, hash) in self.sectors(events, one) {
                let before = now.insert(sector, hash);
                let before = before.or_else(|| self.durable.get(&sector).copied());
                key ^= self.mix(sector, before) ^ self.mix(sector, Some(hash));
            }
        }
        key
    }

    /// Makes writes durable.
    pub fn keep(&mut self, events: &[Event], kept: &[Kept]) {
        self.key = self.with(events, kept);
        for one in kept {
            let sectors: Vec<_> = self.sectors(events, one).collect();
            self.durable.extend(sectors);
        }
    }

    fn sectors<'a>(&'a self, events: &'a [Event], kept: &Kept) -> impl Iterator<Item = (u64, u128)> + 'a {
        let first = match events.get(kept.event) {
            Some(Event::Write { sector, .. } | Event::Discard { sector, .. }) => *sector,
            _ => 0,
        };
        let part = match &kept.part {
            Part::Whole => 0..u64::MAX,
            Part::Sectors(range) => range.clone(),
        };
        let hashes = self.hashes.get(kept.event).into_iter().flatten();
        let numbered = (0..).zip(hashes).filter(move |(index, _)| part.contains(index));
        numbered.map(move |(index, hash)| (first + index, *hash))
    }

    /// Nothing for a sector that is as it was.
    fn mix(&self, sector: u64, hash: Option<u128>) -> u128 {
        let base = self.base.get(&sector).copied();
        let Some(hash) = hash.filter(|hash| Some(*hash) != base) else { return 0 };
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&sector.to_le_bytes());
        bytes[8..].copy_from_slice(&hash.to_le_bytes());
        self::hash(&bytes)
    }
}

fn hash(bytes: &[u8]) -> u128 {
    let digest = Sha256::digest(bytes);
    digest.iter().take(16).fold(0, |sum, byte| sum << 8 | u128::from(*byte))
}

/// The images of one recording: what is durable, and one that is looked at.
#[derive(Debug)]
pub(crate) struct Images {
    log: File,
    durable: Image,
    work: File,
    /// The one that is looked at.
    pub(crate) path: PathBuf,
}

impl Images {
    /// Begins with the disk before the first event; the image to look at is made in a directory.
    pub(crate) fn new(recording: &Recording, directory: &Path) -> Result<Self> {
        let path = directory.join("state.img");
        let work = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path);
        let work = work.with_context(|| format!("Making {}", path.display()))?;
        let durable = Image::read(&File::open(&recording.base)?)?;
        durable.store(&work)?;
        Ok(Self { log: File::open(&recording.log)?, durable, work, path })
    }

    /// Makes writes durable.
    #[context("Writing what is durable")]
    pub(crate) fn keep(&mut self, events: &[Event], kept: &[Kept]) -> Result<()> {
        let Self { log, durable, .. } = self;
        each(log, events, kept, |at, change| match change {
            Change::Bytes(bytes) => durable.write(at, &bytes),
            Change::Zeros(length) => durable.clear(at, length),
        })
    }

    /// Makes the image at [`path`](Self::path) what is durable with some more writes. Nothing may be mounted from it.
    #[context("Writing a state of the disk")]
    pub(crate) fn make(&self, events: &[Event], kept: &[Kept]) -> Result<()> {
        self.durable.store(&self.work)?;
        each(&self.log, events, kept, |at, change| match change {
            Change::Bytes(bytes) => Ok(self.work.write_all_at(&bytes, at)?),
            Change::Zeros(length) => {
                let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                Ok(rustix::fs::fallocate(&self.work, flags, at, length)?)
            }
        })
    }

    /// Keeps the image for a person.
    pub(crate) fn copy_to(&self, to: &Path) -> Result<()> {
        let directory = to.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(directory).with_context(|| format!("Making {}", directory.display()))?;
        run("cp", ["--sparse=always", "--", &text(&self.path), &text(to)]).map(drop)
    }
}

/// The change that an event makes at a place, in bytes.
enum Change {
    Bytes(Vec<u8>),
    Zeros(u64),
}

/// Calls `apply` with the place and the change of each event that is kept.
fn each(
    log: &File,
    events: &[Event],
    kept: &[Kept],
    mut apply: impl FnMut(u64, Change) -> Result<()>,
) -> Result<()> {
    for one in kept {
        match events.get(one.event) {
            Some(Event::Write { sector, sectors, data }) => {
                let range = match &one.part {
                    Part::Whole => 0..*sectors,
                    Part::Sectors(range) => range.clone(),
                };
                let length = range.end.saturating_sub(range.start) * SECTOR;
                let mut bytes = vec![0; usize::try_from(length)?];
                log.read_exact_at(&mut bytes, data + range.start * SECTOR)?;
                apply((sector + range.start) * SECTOR, Change::Bytes(bytes))?;
            }
            Some(Event::Discard { sector, sectors }) => {
                apply(sector * SECTOR, Change::Zeros(sectors * SECTOR))?;
            }
            _ => {}
        }
    }
    Ok(())
}
