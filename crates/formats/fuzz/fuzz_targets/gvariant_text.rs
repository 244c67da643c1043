// SPDX-License-Identifier: MIT OR Apache-2.0
//! The text form of values: what is read is printed so that it reads the same.
#![no_main]

use formats::gvariant::Value;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(value) = Value::parse_text(text) else { return };
    let printed = value.view().and_then(|view| view.to_text(true)).expect("a value that was read is printed");
    let again = Value::parse_text(&printed).expect("what was printed is read");
    assert_eq!((again.type_string(), again.data()), (value.type_string(), value.data()), "{printed}");
});
