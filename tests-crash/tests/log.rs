// SPDX-License-Identifier: MIT OR Apache-2.0
//! The log of writes: what is read of it, and that no bytes whatever make the reader fail in another way than with an error.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

use std::io::Write;

use proptest::prelude::*;
use tests_crash::log::{Event, parse};

/// Sectors of the disk that these logs are of; the last one is for markers.
const SECTORS: u64 = 1000;

fn file(bytes: &[u8]) -> std::fs::File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn read(bytes: &[u8]) -> anyhow::Result<Vec<Event>> {
    parse(&file(bytes), bytes.len() as u64, SECTORS - 1, SECTORS)
}

fn sector(numbers: &[u64]) -> Vec<u8> {
    let mut bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    bytes.resize(512, 0);
    bytes
}

fn log(entries: &[(u64, u64, u64)]) -> Vec<u8> {
    let mut bytes = sector(&[0x006a_7366_7773_6872, 1, entries.len() as u64, 512]);
    for (at, sectors, flags) in entries {
        bytes.extend(sector(&[*at, *sectors, *flags, 0]));
        if flags & 4 == 0 {
            bytes.extend(vec![b'x'; 512 * usize::try_from(*sectors).unwrap()]);
        }
    }
    bytes
}

#[test]
fn writes_flushes_discards_and_markers() {
    let mut bytes = log(&[(8, 2, 0), (0, 0, 1), (16, 1, 2), (24, 8, 4), (999, 1, 0)]);
    let marker = bytes.len() - 512;
    bytes[marker..marker + 8].copy_from_slice(b"hello\0\0\0");
    let events = read(&bytes).unwrap();
    let write = |sector, sectors, data| Event::Write { sector, sectors, data };
    let expected = [
        write(8, 2, 1024),
        Event::Flush,
        write(16, 1, 3072),
        Event::Flush,
        Event::Discard { sector: 24, sectors: 8 },
        Event::Marker("hello".to_owned()),
    ];
    assert_eq!(events, expected);
}

#[test]
fn what_is_cut_off_or_beyond_the_disk_is_refused() {
    let whole = log(&[(8, 2, 0)]);
    for (bytes, told) in [
        (whole[..whole.len() - 1].to_vec(), "cut off"),
        (whole[..600].to_vec(), "ends there"),
        (whole[..20].to_vec(), "Reading its head"),
        (vec![7; 2000], "no log of writes"),
        (log(&[(SECTORS, 1, 0)]), "not on the disk"),
        (log(&[(u64::MAX, 2, 4)]), "not on the disk"),
    ] {
        let error = format!("{:#}", read(&bytes).unwrap_err());
        assert!(error.contains(told), "{told}: {error}");
    }
}

proptest! {
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
        let _ = read(&bytes);
    }

    #[test]
    fn any_numbers(head in any::<[u64; 2]>(), entry in any::<[u64; 4]>(), rest in 0..2000_usize) {
        let mut bytes = sector(&[0x006a_7366_7773_6872, 1, head[0], 512 | head[1] << 32]);
        bytes.extend(sector(&entry));
        bytes.extend(vec![7; rest]);
        if let Ok(events) = read(&bytes) {
            for event in events {
                if let Event::Write { sector, sectors, data } = event {
                    prop_assert!(sector + sectors <= SECTORS);
                    prop_assert!(data + sectors * 512 <= bytes.len() as u64);
                }
            }
        }
    }
}
