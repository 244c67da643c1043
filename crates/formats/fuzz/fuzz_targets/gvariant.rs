// SPDX-License-Identifier: MIT OR Apache-2.0
//! A value of any type: the first line names the type, the rest are its bytes. Nothing panics, and a value in
//! normal form is written back as it was read.
#![no_main]

use formats::gvariant::{Value, Variant};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(2, |byte| *byte == b'\n');
    let (Some(ty), Some(data)) = (parts.next(), parts.next()) else { return };
    let Ok(ty) = std::str::from_utf8(ty) else { return };
    let Ok(variant) = Variant::new(ty, data) else { return };
    let _ = variant.to_text(true);
    if variant.check_normal().is_ok() {
        walk(variant, 0);
        let value = Value::from(variant);
        assert_eq!((value.type_string(), value.data()), (ty, data));
    }
});

/// Every child of a value can be had.
fn walk(variant: Variant<'_>, depth: usize) {
    assert!(depth < 1000, "values nest without a bound");
    if variant.is_container() {
        for child in variant.iter().expect("a container in normal form has children") {
            walk(child.expect("a child of a value in normal form"), depth + 1);
        }
    }
}
