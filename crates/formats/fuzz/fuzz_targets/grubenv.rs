// SPDX-License-Identifier: MIT OR Apache-2.0
//! GRUB's environment block: any bytes are read, behind the signature too.
#![no_main]

use formats::grubenv::Grubenv;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for block in [bytes.to_vec(), [b"# GRUB Environment Block\n", bytes].concat()] {
        if let Ok(variables) = Grubenv::parse(&block) {
            let _ = (variables.get("next_entry"), variables.iter().count());
        }
    }
});
