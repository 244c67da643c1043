// SPDX-License-Identifier: MIT OR Apache-2.0
//! cpio: whatever the bytes are, reading ends, and no more is read than there is.
#![no_main]

use formats::cpio::Archive;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut archive = Archive::new(bytes);
    while let Ok(Some(entry)) = archive.next_entry() {
        let _ = (entry.path(), entry.is_file(), entry.is_link());
        if entry.size % 2 == 0 {
            let _ = archive.contents(4096);
        }
    }
    assert!(archive.position() <= bytes.len() as u64);
});
