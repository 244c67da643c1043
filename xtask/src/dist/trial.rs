// SPDX-License-Identifier: MIT OR Apache-2.0
//! Building from the archive alone: unpacked in an empty directory, without network and without the crates that cargo keeps for
//! its user.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use fn_error_context::context;

use crate::{process, terminal, tree};

/// A small package, which depends on crates of others and of ours.
const PACKAGE: &str = "prepare-root";

/// Unpacks and builds in `dir`, which is emptied before and removed after; returns what it did and how long that took.
#[context("Building from the archive, without network")]
pub(super) fn run(archive: &Path, name: &str, dir: &Path) -> Result<String> {
    let start = Instant::now();
    tree::remove(dir)?;
    std::fs::create_dir_all(dir).with_context(|| format!("Creating {}", dir.display()))?;
    let mut tar = process::command("tar");
    tar.arg("--extract").arg("--directory").arg(dir).arg("--file").arg(archive);
    process::run(tar)?;
    let unpacked = start.elapsed();
    terminal::progress(&format!("cargo build of {PACKAGE} without network"));
    let mut build = process::command("unshare");
    build.arg("--net");
    if !rustix::process::geteuid().is_root() {
        build.arg("--map-root-user");
    }
    build.arg(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args(["build", "--offline", "--locked", "--package", PACKAGE]);
    build
        .current_dir(dir.join(name))
        .env("CARGO_HOME", dir.join("home"))
        .env("CARGO_TARGET_DIR", dir.join("target"));
    process::run(build)?;
    tree::remove(dir)?;
    Ok(format!(
        "built {PACKAGE} without network: unpacked in {:.0} s, {:.0} s in all",
        unpacked.as_secs_f64(),
        start.elapsed().as_secs_f64()
    ))
}
