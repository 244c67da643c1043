// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C program, where there is one to compare with.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::world;

/// Names the C program, `ROOT/usr/lib/ostree/ostree-prepare-root` of an unpacked system.
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
    let output = command(program).arg(sysroot).output().unwrap();
    world::run("umount", &["/proc/cmdline"]);
    if !output.status.success() {
        world::run("umount", &["--recursive", STAGING]);
        std::fs::remove_dir(STAGING).unwrap();
    }
    output
}

/// A command that runs the C program with the libraries of the system that it was unpacked with.
fn command(program: &Path) -> Command {
    let root = program.ancestors().nth(4).unwrap_or(Path::new("/"));
    let loader = root.join("lib64/ld-linux-x86-64.so.2");
    if root == Path::new("/") || !loader.exists() {
        return Command::new(program);
    }
    let mut command = Command::new(loader);
    command.arg("--library-path").arg(root.join("usr/lib/x86_64-linux-gnu")).arg(program);
    command
}
