// SPDX-License-Identifier: MIT OR Apache-2.0
//! Handing over to `tests-crash`, which cuts the power at every write of our installed programs.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use fn_error_context::context;

use crate::peer::{self, Peer};
use crate::workspace::Workspace;
use crate::{install, process, terminal};

/// Installs what is tested, and tests it. The arguments are those of `tests-crash`.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    install::into(workspace, &workspace.destdir())?;
    let mut command = driver(workspace, &peer::ensure(workspace)?, arguments)?;
    let status = command.status().context("Running tests-crash")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The command line of `tests-crash`, built first, and with it an `ostree` that makes mistakes when it is told to.
#[context("Building tests-crash")]
pub(crate) fn driver(workspace: &Workspace, peer: &Peer, arguments: &[String]) -> Result<Command> {
    terminal::progress("cargo build --release of tests-crash, and of an ostree that makes mistakes");
    let mut cargo = process::cargo("build");
    cargo.args(["--release", "--package", "tests-crash"]);
    process::run(cargo)?;
    // In a directory of its own: nobody shall install it.
    let with_faults = workspace.target.join("faults");
    let mut cargo = process::cargo("build");
    cargo.args(["--package", "cli", "--bin", "ostree", "--features", "durable/faults"]);
    cargo.arg("--target-dir").arg(&with_faults);
    process::run(cargo)?;
    let destdir = workspace.destdir();
    let ostree = with_faults.join("debug/ostree");
    let places = [
        ("OSTREE_RS_DESTDIR", destdir.as_path()),
        ("OSTREE_RS_FAULTS", &ostree),
        ("OSTREE_RS_CACHE", &workspace.cache),
        ("OSTREE_PEER_DIR", &peer.dir),
    ];
    // It mounts. As arguments of env, the variables get through sudo.
    let mut command = process::as_root("env");
    command.args(places.map(|(name, path)| format!("{name}={}", path.display())));
    command.arg(workspace.target.join("release/tests-crash")).args(arguments);
    Ok(command)
}
