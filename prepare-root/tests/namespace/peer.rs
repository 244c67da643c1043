// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C program, where there is one to compare with.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::world;

/// Names the C program, or a script that runs it with the libraries that it needs; `./run test` sets it.
pub(crate) const VARIABLE: &str = "OSTREE_PEER_PREPARE_ROOT";

/// The C program, if the environment names one.
pub(crate) fn program() -> Option<PathBuf> {
    std::env::var_os(VARIABLE).map(PathBuf::from)
}

/// Where the C program puts the new root together: on the root of the machine, out of any namespace.
const STAGING: &str = "/sysroot.tmp";

/// Runs the C program. Runs of several tests take turns because of [`STAGING`], which a failure leaves behind.
pub(crate) fn run(program: &Path, sysroot: &Path, line: &str) -> Output {
    let turn = File::create(std::env::temp_dir().join("ostree-peer-prepare-root.lock")).unwrap();
    turn.lock().unwrap();
    // 2025.2 takes no command line as its second argument.
    std::fs::write("/run/cmdline", line).unwrap();
    world::run("mount", &["--bind", "/run/cmdline", "/proc/cmdline"]);
    let output = Command::new(program).arg(sysroot).output().unwrap();
    world::run("umount", &["/proc/cmdline"]);
    if !output.status.success() {
        world::run("umount", &["--recursive", STAGING]);
        std::fs::remove_dir(STAGING).unwrap();
    }
    output
}
