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
mod locks;
mod programs;
mod prune;
mod signals;
mod staged;
mod status;
mod unlock;
mod user;
mod waiting;

use std::process::ExitCode;

fn main() -> ExitCode {
    test_world::namespace::run(
        test_world::system::NAMESPACES,
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
