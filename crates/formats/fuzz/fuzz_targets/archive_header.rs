// SPDX-License-Identifier: MIT OR Apache-2.0
//! The header of a compressed file: what is read is written back byte for byte, behind its frame.
#![no_main]

use formats::object::ArchiveHeader;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some(start) = data.first_chunk() {
        let _ = ArchiveHeader::frame(*start);
    }
    if let Ok(header) = ArchiveHeader::parse(data) {
        let mut written = Vec::new();
        header.write_framed(&mut written);
        assert!(written.ends_with(data));
    }
});
