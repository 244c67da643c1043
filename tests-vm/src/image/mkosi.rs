// SPDX-License-Identifier: MIT OR Apache-2.0
//! Calls mkosi.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use fn_error_context::context;

use super::apt_sources;
use super::key::Key;
use crate::command;
use crate::environment::Environment;

/// What to build.
#[derive(Debug)]
pub(crate) struct Recipe {
    /// Names the tree in the cache.
    pub(crate) name: &'static str,
    /// Directory with `mkosi.conf`.
    pub(crate) definitions: PathBuf,
    /// Packages besides those of the definitions.
    pub(crate) extra_packages: Vec<String>,
    /// Our programs, which go into the tree; without them the initramfs is an ordinary one.
    pub(crate) programs: Option<PathBuf>,
}

impl Recipe {
    /// Names all that goes into the tree, except for the packages' versions.
    pub(crate) fn key(&self) -> Result<String> {
        let mut key = Key::default();
        key.word(self.name);
        key.directory(&self.definitions)?;
        for package in &self.extra_packages {
            key.word(package);
        }
        if let Some(programs) = &self.programs {
            key.directory(programs)?;
        }
        Ok(key.finish())
    }
}

/// Builds the tree at `path`; the log is kept in the cache's logs.
#[context("Running mkosi for {:?}", recipe.name)]
pub(crate) fn build(environment: &Environment, recipe: &Recipe, path: &Path) -> Result<()> {
    let scratch = environment.cache(&format!("mkosi-{}", recipe.name))?;
    let apt = scratch.join("apt");
    let output = scratch.join("output");
    // A failed forced build of mkosi deletes what was there: it gets a directory of its own.
    for leftover in [&apt, &output] {
        if leftover.exists() {
            fs::remove_dir_all(leftover).with_context(|| format!("Removing {}", leftover.display()))?;
        }
    }
    apt_sources::write(&apt)?;

    let mut mkosi = Command::new("mkosi");
    mkosi.arg("--directory").arg(&recipe.definitions).args(["--force", "--incremental", "--output=tree"]);
    mkosi.arg("--package-manager-tree").arg(&apt);
    mkosi.arg("--output-dir").arg(&output);
    mkosi.arg("--package-cache-dir").arg(environment.cache("packages")?);
    for (option, name) in [("--cache-dir", "incremental"), ("--workspace-dir", "workspace")] {
        mkosi.arg(option).arg(environment.cache(&format!("mkosi-{}/{name}", recipe.name))?);
    }
    for package in &recipe.extra_packages {
        mkosi.args(["--package", package]);
    }
    match &recipe.programs {
        Some(programs) => mkosi.arg("--extra-tree").arg(programs),
        None => mkosi.arg("--environment=WITHOUT_OSTREE=1"),
    };
    mkosi.arg("build");
    fs::create_dir_all(&output).with_context(|| format!("Creating {}", output.display()))?;
    let log = environment.cache("logs")?.join(format!("mkosi-{}.txt", recipe.name));
    command::run_logged(&mut mkosi, &log)?;
    fs::rename(output.join("tree"), path).with_context(|| format!("Moving the tree to {}", path.display()))
}
