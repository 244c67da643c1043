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

/// The release that the tree is made of; `mkosi.conf` says the same.
const RELEASE: &str = "trixie";

/// The image that is to be built.
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
        for (name, directory) in self.parts()? {
            key.word(&name);
            key.directory(&directory)?;
        }
        Ok(key.finish())
    }

    /// The directories in `usr` of our programs that go into the tree, by name: not `share`, where only documents are,
    /// whose changes are no reason to build again.
    fn parts(&self) -> Result<Vec<(String, PathBuf)>> {
        let Some(programs) = &self.programs else { return Ok(Vec::new()) };
        let usr = programs.join("usr");
        let read = || format!("Reading {}", usr.display());
        let mut parts = Vec::new();
        for entry in fs::read_dir(&usr).with_context(read)? {
            let entry = entry.with_context(read)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name != "share" {
                parts.push((name, entry.path()));
            }
        }
        parts.sort();
        Ok(parts)
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
    apt_sources::write(&apt, RELEASE)?;

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
    for (name, directory) in recipe.parts()? {
        mkosi.arg("--extra-tree").arg(format!("{}:/usr/{name}", directory.display()));
    }
    if recipe.programs.is_none() {
        mkosi.arg("--environment=WITHOUT_OSTREE=1");
    }
    mkosi.arg("build");
    fs::create_dir_all(&output).with_context(|| format!("Creating {}", output.display()))?;
    let log = environment.cache("logs")?.join(format!("mkosi-{}.txt", recipe.name));
    command::run_logged(&mut mkosi, &log)?;
    fs::rename(output.join("tree"), path).with_context(|| format!("Moving the tree to {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_a_program_counts_and_one_of_a_document_does_not() {
        let place = tempfile::tempdir().unwrap();
        let (definitions, programs) = (place.path().join("definitions"), place.path().join("programs"));
        for directory in [&definitions, &programs.join("usr/bin"), &programs.join("usr/share/doc")] {
            fs::create_dir_all(directory).unwrap();
        }
        let recipe =
            Recipe { name: "a", definitions, extra_packages: Vec::new(), programs: Some(programs.clone()) };
        let empty = recipe.key().unwrap();
        fs::write(programs.join("usr/share/doc/page"), "text").unwrap();
        assert_eq!(recipe.key().unwrap(), empty);
        fs::write(programs.join("usr/bin/ostree"), "program").unwrap();
        assert_ne!(recipe.key().unwrap(), empty);
    }
}
