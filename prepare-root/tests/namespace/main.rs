// SPDX-License-Identifier: MIT OR Apache-2.0
//! Prepares a root for real, without booting: as root, in a mount namespace of its own, with a `/run` of its own.
//!
//! Each case is this program again, run by `unshare --mount`, so that no case can reach the mounts of the machine.
#![allow(clippy::unwrap_used, reason = "a case of this harness is no #[test] that clippy would know")]

mod cases;
mod mountinfo;
mod peer;
mod world;

use std::process::ExitCode;

use test_world::namespace::{self, Namespaces};

fn main() -> ExitCode {
    namespace::run(Namespaces::Mount, cases::ALL)
}
