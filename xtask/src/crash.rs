// SPDX-License-Identifier: MIT OR Apache-2.0
//! Handing over to `tests-crash`, which cuts the power at every write of our installed programs.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use fn_error_context::context;

use crate::peer::{self, Peer};
use crate::workspace::Workspace;
use crate::{install, process, terminal, vm};

/// Installs what is tested, and tests it. The arguments are those of `tests-crash`.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    install::into(workspace, &workspace.destdir())?;
    let peer = peer::ensure(workspace)?;
    let tree = needs_tree(arguments).then(|| vm::debian_tree(workspace, &peer)).transpose()?;
    let mut command = driver(workspace, &peer, tree.as_deref(), arguments)?;
    let status = command.status().context("Running tests-crash")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether disks are booted, as a run of all rows does, or a whole Debian system is updated.
fn needs_tree(arguments: &[String]) -> bool {
    const WITHOUT: [&str; 8] =
        ["--quick", "--only", "--layout", "--mutant", "--theirs", "--help", "faults", "plans"];
    let is = |name: &&str, argument: &String| argument.split('=').next() == Some(*name);
    let has = |name: &&str| arguments.iter().any(|argument| is(name, argument));
    ["--boots", "--full-size"].iter().any(has) || !WITHOUT.iter().any(has)
}

/// The command line of `tests-crash`, built first, and with it an `ostree` that makes mistakes when it is told to.
#[context("Building tests-crash")]
pub(crate) fn driver(
    workspace: &Workspace,
    peer: &Peer,
    tree: Option<&Path>,
    arguments: &[String],
) -> Result<Command> {
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
        ("OSTREE_RS_FAULTS", ostree.as_path()),
        ("OSTREE_RS_CACHE", workspace.cache.as_path()),
        ("OSTREE_PEER_DIR", peer.dir.as_path()),
    ];
    // It mounts. As arguments of env, the variables get through sudo.
    let mut command = process::as_root("env");
    let tree = tree.map(|tree| ("OSTREE_RS_DEBIAN_TREE", tree));
    command.args(places.into_iter().chain(tree).map(|(name, path)| format!("{name}={}", path.display())));
    command.arg(workspace.target.join("release/tests-crash")).args(arguments);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_made_for_those_who_boot() {
        for (line, needs) in [
            ("", true),
            ("--minutes 5", true),
            ("--quick", false),
            ("--only=deploy", false),
            ("--only deploy --boots 2", true),
            ("--theirs --full-size", true),
            ("faults --quick", false),
            ("plans", false),
        ] {
            let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            assert_eq!(needs_tree(&arguments), needs, "{line}");
        }
    }
}
