// SPDX-License-Identifier: MIT OR Apache-2.0
//! The commands in a running system, without booting: each case is this program again, as root in namespaces of its own, where a
//! deployment is `/`. With each release of the C tools, also at the same time.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a case of this harness is no #[test] that clippy would know"
)]

mod changes;
mod etc;
#[path = "../../../sysroot/tests/booted/harness.rs"]
mod harness;
mod locks;
mod programs;
mod prune;
mod signals;
mod staged;
mod status;
#[path = "../../../sysroot/tests/booted/system.rs"]
mod system;
mod unlock;
mod user;
mod waiting;
#[path = "../../../sysroot/tests/world/mod.rs"]
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    harness::run(
        &[
            staged::CASES,
            status::CASES,
            etc::CASES,
            unlock::CASES,
            signals::CASES,
            locks::CASES,
            changes::CASES,
            prune::CASES,
        ]
        .concat(),
    )
}
