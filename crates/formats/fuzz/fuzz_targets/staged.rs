// SPDX-License-Identifier: MIT OR Apache-2.0
//! The record of a staged deployment: what is read is written so that it reads the same.
#![no_main]

use formats::staged::{Kept, Staged};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(record) = Staged::parse(data) {
        assert_eq!(record, Staged::parse(&record.to_bytes()).expect("what we wrote is read"));
    }
    if let Ok(kept) = Kept::parse(data) {
        assert_eq!(kept, Kept::parse(&kept.to_bytes()).expect("what we wrote is read"));
    }
});
