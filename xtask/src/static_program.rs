// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rules for the program of the initramfs: no interpreter, small, and made of few crates.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use fn_error_context::context;

use crate::workspace::Workspace;
use crate::{elf, process};

/// Bytes. Every initramfs carries the program, often from a small `/boot`.
pub(crate) const MAX_SIZE: u64 = 1_300_000;

/// Every crate that may be linked into it. `clap` and `env_logger` would add 0.9 MB; a crate that is not here is looked at
/// before it is added.
pub(crate) const ALLOWED_CRATES: &[&str] = &[
    // Ours.
    "prepare-root",
    "formats",
    "kernel",
    // System calls.
    "bitflags",
    "errno",
    "libc",
    "linux-raw-sys",
    "rustix",
    // SHA-256.
    "block-buffer",
    "cfg-if",
    "cpufeatures",
    "crypto-common",
    "digest",
    "hybrid-array",
    "sha2",
    "typenum",
    "const-oid",
    // Errors; the macros run at build time only.
    "anyhow",
    "thiserror",
    "thiserror-impl",
    "fn-error-context",
    "proc-macro2",
    "quote",
    "syn",
    "unicode-ident",
];

/// Checks the program that `build` made.
#[context("Checking {}", workspace.prepare_root().display())]
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let program = std::fs::read(workspace.prepare_root()).context("Reading it")?;
    ensure!(!elf::has_interpreter(&program)?, "it has an interpreter: it was linked dynamically");
    let size = u64::try_from(program.len())?;
    ensure!(size <= MAX_SIZE, "it has {size} bytes, more than {MAX_SIZE}");
    Ok(())
}

/// The crates in its tree that are not on the list.
pub(crate) fn foreign_crates(workspace: &Workspace) -> Result<BTreeSet<String>> {
    let tree = process::output(process::cargo("tree").current_dir(&workspace.root).args([
        "--package",
        "prepare-root",
        "--edges",
        "normal,build",
        "--target",
        &workspace.triple,
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]))?;
    let names = tree.lines().filter_map(|line| line.split_whitespace().next());
    let names: BTreeSet<String> = names.map(str::to_owned).collect();
    ensure!(names.contains("prepare-root"), "cargo tree does not list the package itself");
    Ok(names.into_iter().filter(|name| !ALLOWED_CRATES.contains(&name.as_str())).collect())
}
