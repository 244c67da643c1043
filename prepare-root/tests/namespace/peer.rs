// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C program, where there is one to compare with.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Names the C program, `ROOT/usr/lib/ostree/ostree-prepare-root` of an unpacked system.
pub(crate) const VARIABLE: &str = "OSTREE_PEER_PREPARE_ROOT";

/// The C program, if the environment names one.
pub(crate) fn program() -> Option<PathBuf> {
    std::env::var_os(VARIABLE).map(PathBuf::from)
}

/// A command that runs the C program with the libraries of the system that it was unpacked with.
pub(crate) fn command(program: &Path) -> Command {
    let root = program.ancestors().nth(4).unwrap_or(Path::new("/"));
    let loader = root.join("lib64/ld-linux-x86-64.so.2");
    if root == Path::new("/") || !loader.exists() {
        return Command::new(program);
    }
    let mut command = Command::new(loader);
    command.arg("--library-path").arg(root.join("usr/lib/x86_64-linux-gnu")).arg(program);
    command
}
