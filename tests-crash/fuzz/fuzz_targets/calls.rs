// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lines of `strace`: no text whatever makes the reader panic, and a change is told with a path from the root.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tests_crash::plans::{change, syntax};

fuzz_target!(|text: &str| {
    for change in change::changes(&syntax::parse(text), "/") {
        assert!(change.path.starts_with('/'), "{change}");
    }
});
