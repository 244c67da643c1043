// SPDX-License-Identifier: MIT OR Apache-2.0
//! An object, the owner and mode of a directory: what is read is written so that it reads the same.
#![no_main]

use formats::object::DirMeta;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(object) = DirMeta::parse(data) {
        assert_eq!(DirMeta::parse(&object.serialize()).expect("what we wrote is read"), object);
    }
});
