// SPDX-License-Identifier: MIT OR Apache-2.0
//! A running system, without booting: each case is this program again, as root in namespaces of its own, where a
//! deployment is made `/` and `/run/ostree-booted` says so.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a case of this harness is no #[test] that clippy would know"
)]

mod ahead;
mod harness;
mod initramfs;
mod kept;
mod mounts;
mod on_disk;
mod peer;
mod room;
mod selinux;
mod staged;
mod system;
mod unlisted;
#[path = "../world/mod.rs"]
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    harness::run(
        &[
            staged::CASES,
            mounts::CASES,
            peer::CASES,
            initramfs::CASES,
            unlisted::CASES,
            room::CASES,
            kept::CASES,
            ahead::CASES,
            on_disk::CASES,
            selinux::CASES,
        ]
        .concat(),
    )
}
