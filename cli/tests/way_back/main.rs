// SPDX-License-Identifier: MIT OR Apache-2.0
//! Our command and the C tools at the same time on the same running system, with each release of the C tools.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a case of this harness is no #[test] that clippy would know"
)]

mod changes;
#[path = "../../../sysroot/tests/booted/harness.rs"]
mod harness;
mod locks;
#[path = "../programs/mod.rs"]
mod programs;
mod prune;
#[path = "../../../sysroot/tests/booted/system.rs"]
mod system;
mod user;
mod waiting;
#[path = "../../../sysroot/tests/world/mod.rs"]
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    harness::run(&[locks::CASES, changes::CASES, prune::CASES].concat())
}
