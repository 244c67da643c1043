// SPDX-License-Identifier: MIT OR Apache-2.0
//! The name of a boot loader entry with its counters: what is printed reads the same.
#![no_main]

use formats::bls::EntryName;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(name) = text.parse::<EntryName>() {
        let again: EntryName = name.to_string().parse().expect("what we wrote is read");
        assert_eq!(name, again);
    }
});
