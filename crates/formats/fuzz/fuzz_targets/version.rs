// SPDX-License-Identifier: MIT OR Apache-2.0
//! The order of versions: the same from both sides, and equal to itself.
#![no_main]

use std::cmp::Ordering;

use formats::version::compare;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (a, b) = text.split_once('\n').unwrap_or((text, ""));
    assert_eq!(compare(a, b), compare(b, a).reverse());
    assert_eq!(compare(a, a), Ordering::Equal);
});
