// SPDX-License-Identifier: MIT OR Apache-2.0
//! The state that the initramfs leaves for the system: what is read is written so that it reads the same.
#![no_main]

use formats::run_state::RunState;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(state) = RunState::parse(data) {
        assert_eq!(state, RunState::parse(&state.to_bytes()).expect("what we wrote is read"));
    }
});
