// SPDX-License-Identifier: MIT OR Apache-2.0
//! Handing over to `tests-vm`, which knows images and virtual machines and uses our installed programs only.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use fn_error_context::context;

use crate::peer::{self, Peer};
use crate::workspace::Workspace;
use crate::{install, picture, process, terminal};

/// Builds a Debian system, commits, deploys and boots it.
pub(crate) fn demo(workspace: &Workspace) -> Result<()> {
    install::into(workspace, &workspace.destdir())?;
    process::interactive(driver(workspace, &peer::ensure(workspace)?, &["demo"])?)
}

/// As [`demo`]; keeps what it prints, and draws the picture of it.
#[context("Recording the demo")]
pub(crate) fn record_demo(workspace: &Workspace) -> Result<()> {
    install::into(workspace, &workspace.destdir())?;
    let finished = process::listen(driver(workspace, &peer::ensure(workspace)?, &["demo"])?, |line| {
        // Somebody who watches has seen it.
        if !terminal::watched() {
            println!("{line}");
        }
    })?;
    ensure!(finished.success, "the demo failed");
    let path = workspace.root.join(picture::TRANSCRIPT);
    std::fs::write(&path, of_any_machine(&finished.output, &workspace.cache))
        .with_context(|| format!("Writing {}", path.display()))?;
    for path in picture::draw_all(workspace)? {
        println!("wrote {path}");
    }
    Ok(())
}

/// The transcript with the cache directory named as it is by default, and without empty lines around it.
fn of_any_machine(output: &str, cache: &Path) -> String {
    format!("{}\n", output.replace(&*cache.to_string_lossy(), "~/.cache/ostree-rs").trim())
}

/// A shell in the demo's system.
pub(crate) fn shell(workspace: &Workspace) -> Result<()> {
    install::into(workspace, &workspace.destdir())?;
    process::interactive(driver(workspace, &peer::ensure(workspace)?, &["shell"])?)
}

/// The real tree that `bench` commits.
#[context("Making the tree to measure with")]
pub(crate) fn bench_tree(workspace: &Workspace, peer: &Peer) -> Result<PathBuf> {
    tree(workspace, peer, "bench-tree")
}

/// The Debian system that is committed and booted.
#[context("Making the Debian tree")]
pub(crate) fn debian_tree(workspace: &Workspace, peer: &Peer) -> Result<PathBuf> {
    tree(workspace, peer, "build-image")
}

fn tree(workspace: &Workspace, peer: &Peer, command: &str) -> Result<PathBuf> {
    terminal::progress(&format!("tests-vm {command}"));
    let path = process::output(&mut driver(workspace, peer, &[command])?)?;
    Ok(PathBuf::from(path.trim_end().lines().last().unwrap_or_default()))
}

/// The command line of `tests-vm`, built first.
pub(crate) fn driver(workspace: &Workspace, peer: &Peer, arguments: &[&str]) -> Result<Command> {
    let mut cargo = process::cargo("build");
    cargo.args(["--package", "tests-vm", "--bin", "tests-vm"]);
    process::run(cargo)?;
    let destdir = workspace.destdir();
    let places = [("OSTREE_RS_DESTDIR", destdir.as_path()), ("OSTREE_RS_CACHE", &workspace.cache)];
    // It makes file systems and namespaces. As arguments of env, the variables get through sudo.
    let mut command = process::as_root("env");
    let places = places.map(|(name, path)| (name.to_owned(), path));
    for (name, value) in places.into_iter().chain(peer.environment()) {
        command.arg(format!("{name}={}", value.display()));
    }
    command.arg(workspace.target.join("debug/tests-vm")).args(arguments);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transcript_names_no_machine() {
        let text =
            of_any_machine("\n==> 1/1 x\n    /home/me/cache/vm/trees\n\n", Path::new("/home/me/cache"));
        assert_eq!(text, "==> 1/1 x\n    ~/.cache/ostree-rs/vm/trees\n");
    }
}
