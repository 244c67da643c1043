// SPDX-License-Identifier: MIT OR Apache-2.0
//! Handing over to `tests-peer`, which runs random commands with our installed `ostree` and with the peer.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use fn_error_context::context;

use crate::peer::{self, Peer};
use crate::workspace::Workspace;
use crate::{install, process, terminal};

/// Installs our program, and compares. The arguments are those of `tests-peer`.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    install::into(workspace, &workspace.destdir())?;
    let peer = peer::ensure(workspace)?;
    let status = driver(workspace, &peer, arguments)?.status().context("Running tests-peer")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The command line of `tests-peer`, built first.
#[context("Building tests-peer")]
pub(crate) fn driver(workspace: &Workspace, peer: &Peer, arguments: &[String]) -> Result<Command> {
    terminal::progress("cargo build --release of tests-peer");
    let mut cargo = process::cargo("build");
    cargo.args(["--release", "--package", "tests-peer"]);
    process::run(cargo)?;
    let ours = workspace.destdir().join("usr/bin/ostree");
    // Its trees have owners. As arguments of env, the variables get through sudo.
    let mut command = process::as_root("env");
    let places = [("OSTREE_RS", &ours), ("OSTREE_PEER", &peer.program)];
    command.args(places.map(|(name, path)| format!("{name}={}", path.display())));
    command.arg(workspace.target.join("release/tests-peer")).args(arguments);
    Ok(command)
}
