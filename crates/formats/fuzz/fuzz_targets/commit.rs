// SPDX-License-Identifier: MIT OR Apache-2.0
//! An object, a commit: one in normal form is written back byte for byte, any other reads the
//! same afterwards.
#![no_main]

use formats::gvariant::Variant;
use formats::object::{Commit, ObjectType};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(object) = Commit::parse(data) else { return };
    let written = object.serialize().expect("what was read is written");
    let ty = ObjectType::Commit.type_string().expect("a type of metadata");
    if Variant::new(ty, data).and_then(|variant| variant.check_normal()).is_ok() {
        assert_eq!(written, data);
    }
    assert_eq!(Commit::parse(&written).expect("what we wrote is read"), object);
});
