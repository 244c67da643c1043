// SPDX-License-Identifier: MIT OR Apache-2.0
//! The labels of a policy: whatever is in its files, a path that a line names in plain letters has an answer or an error, the same
//! each time, and with more slashes too.
#![no_main]

use formats::file_contexts::{FileContexts, Kind, Sources};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&[u8], &[u8], &[u8])| {
    let (policy, subs, path) = input;
    let Ok(contexts) = FileContexts::parse(&Sources { policy, subs, ..Sources::default() }) else { return };
    let words = policy.split(u8::is_ascii_whitespace).chain([path]);
    for path in words.take(64) {
        for kind in Kind::ALL {
            let label = contexts.lookup(path, kind);
            assert_eq!(label, contexts.lookup(path, kind));
            let slashes: Vec<u8> = path.iter().flat_map(|&b| vec![b; if b == b'/' { 2 } else { 1 }]).collect();
            assert_eq!(label, contexts.lookup(&slashes, kind));
        }
    }
});
