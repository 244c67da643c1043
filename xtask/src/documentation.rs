// SPDX-License-Identifier: MIT OR Apache-2.0
//! The documentation of the libraries, and the examples that belong to it. Examples in comments run with the tests.

use anyhow::{Context, Result, ensure};
use cargo_metadata::MetadataCommand;
use fn_error_context::context;

use crate::workspace::Workspace;
use crate::{process, terminal};

/// Builds the rustdoc of every library; a warning is an error.
#[context("Building the documentation of the libraries")]
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    terminal::progress("rustdoc of every library");
    let mut command = process::cargo("doc");
    command.current_dir(&workspace.root).args(["--workspace", "--no-deps", "--lib", "--keep-going"]);
    command.env("RUSTDOCFLAGS", "--deny warnings");
    process::run(command)
}

/// A program in the folder `examples` of a crate.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Example {
    package: String,
    name: String,
}

impl std::fmt::Display for Example {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "example {} of {}", self.name, self.package)
    }
}

/// Returns every example of every crate, sorted.
#[context("Looking for examples")]
pub(crate) fn examples(workspace: &Workspace) -> Result<Vec<Example>> {
    let metadata = MetadataCommand::new()
        .manifest_path(workspace.root.join("Cargo.toml"))
        .no_deps()
        .other_options(["--locked".to_owned()])
        .exec()
        .context("Asking cargo for the crates")?;
    let of = |package: &cargo_metadata::Package| {
        let targets = package.targets.iter().filter(|target| target.is_example());
        targets
            .map(|target| Example { package: package.name.to_string(), name: target.name.clone() })
            .collect::<Vec<_>>()
    };
    let mut found: Vec<Example> = metadata.workspace_packages().into_iter().flat_map(of).collect();
    found.sort();
    Ok(found)
}

impl Example {
    /// Runs it: it needs no arguments, makes what it works on itself, and says something.
    ///
    /// # Errors
    /// It does not build, it fails, or it prints nothing.
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<()> {
        let mut command = process::cargo("run");
        command.current_dir(&workspace.root).args([
            "--quiet",
            "--package",
            &self.package,
            "--example",
            &self.name,
        ]);
        let said = process::output(&mut command)?;
        ensure!(!said.trim().is_empty(), "{self} printed nothing");
        Ok(())
    }
}
