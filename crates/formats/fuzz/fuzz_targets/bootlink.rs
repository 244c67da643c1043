// SPDX-License-Identifier: MIT OR Apache-2.0
//! Boot links and paths of deployments: what is printed reads the same.
#![no_main]

use formats::bootlink::{Bootlink, DeploymentPath};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(link) = text.parse::<Bootlink>() {
        assert_eq!(link, link.to_string().parse().expect("what we wrote is read"));
    }
    if let Ok(path) = text.parse::<DeploymentPath>() {
        assert_eq!(path, path.to_string().parse().expect("what we wrote is read"));
    }
});
