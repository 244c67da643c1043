// SPDX-License-Identifier: MIT OR Apache-2.0
//! A boot loader entry: what is printed reads the same.
#![no_main]

use formats::bls::Entry;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(entry) = Entry::parse(text) else { return };
    let _ = (entry.title(), entry.version(), entry.linux(), entry.initrd(), entry.options());
    let again = Entry::parse(&entry.to_string()).expect("what we wrote is read");
    assert_eq!(entry.fields().collect::<Vec<_>>(), again.fields().collect::<Vec<_>>());
});
