// SPDX-License-Identifier: MIT OR Apache-2.0
//! os-release: any text is read.
#![no_main]

use formats::os_release::OsRelease;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let release = OsRelease::parse(text);
    let _ = (release.get("ID"), release.pretty_name());
});
