// SPDX-License-Identifier: MIT OR Apache-2.0
//! A running system, without booting: each case is this program again, as root in namespaces of its own, where a
//! deployment is made `/` and `/run/ostree-booted` says so.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a case of this harness is no #[test] that clippy would know"
)]

mod ahead;
mod initramfs;
mod kept;
mod meanwhile;
mod mounts;
mod on_disk;
mod other_root;
mod peer;
mod refs;
mod room;
mod selinux;
mod staged;
mod unlisted;

use std::process::ExitCode;

fn main() -> ExitCode {
    test_world::namespace::run(
        test_world::system::NAMESPACES,
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
            refs::CASES,
            meanwhile::CASES,
            other_root::CASES,
        ]
        .concat(),
    )
}
