// SPDX-License-Identifier: MIT OR Apache-2.0
//! A drop-in with policies for the merge of `/etc`: a path that is written like a pattern without wildcards is one that it
//! fits, and any path has a policy.
#![no_main]

use std::path::Path;

use formats::etc_policy::{Policies, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(rules) = parse(text) else { return };
    let last = text.lines().rfind(|line| !line.trim().is_empty() && !line.trim().starts_with('#'));
    let policies = Policies::new([rules.clone()]);
    let _ = policies.of(Path::new(text));
    if let (Some(line), Some(rule)) = (last, rules.last())
        && let Some((_, path)) = line.split_once("/etc")
    {
        assert_eq!(policies.of(Path::new(path.trim().trim_start_matches('/'))), rule.policy);
    }
});
