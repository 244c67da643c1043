// SPDX-License-Identifier: MIT OR Apache-2.0
//! The header of a file as it is hashed: what is read is written back byte for byte, behind its frame.
#![no_main]

use formats::object::FileHeader;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(header) = FileHeader::parse(data) {
        let mut written = Vec::new();
        header.write_framed(&mut written);
        assert!(written.ends_with(data));
    }
});
