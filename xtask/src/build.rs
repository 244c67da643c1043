// SPDX-License-Identifier: MIT OR Apache-2.0
//! Release builds: the programs of the running system together, the static program of the initramfs by itself.

use anyhow::Result;
use fn_error_context::context;

use crate::workspace::Workspace;
use crate::{process, static_program, terminal};

/// The packages whose programs a distribution installs, less the static one.
pub(crate) const PACKAGES: [&str; 3] = ["cli", "early-boot", "finalize"];

/// Builds everything that `install` lays out.
pub(crate) fn all(workspace: &Workspace) -> Result<()> {
    programs()?;
    initramfs(workspace)?;
    static_program::check(workspace)?;
    documents(workspace)?;
    terminal::progress(&format!("built {}", workspace.ostree().display()));
    terminal::progress(&format!("built {}", workspace.prepare_root().display()));
    Ok(())
}

#[context("Building the programs")]
fn programs() -> Result<()> {
    terminal::progress("cargo build --release");
    let mut cargo = process::cargo("build");
    cargo.arg("--release");
    for package in PACKAGES {
        cargo.args(["--package", package]);
    }
    process::run(cargo)
}

/// Manual pages and completions, by a program of its own: what it needs shall not be in `ostree`.
#[context("Making the manual pages")]
fn documents(workspace: &Workspace) -> Result<()> {
    terminal::progress("cargo run --bin ostree-documents");
    // Files of an earlier version must not stay.
    if workspace.documents().exists() {
        std::fs::remove_dir_all(workspace.documents())?;
    }
    let mut cargo = process::cargo("run");
    cargo.args(["--package", "cli", "--features", "documents", "--bin", "ostree-documents", "--"]);
    cargo.arg(workspace.documents());
    process::run(cargo)
}

/// A call of its own: built along with the others, it would get their features. The explicit target keeps `crt-static` away
/// from build scripts and procedural macros, which have to be loaded dynamically.
#[context("Building the static program")]
fn initramfs(workspace: &Workspace) -> Result<()> {
    terminal::progress("cargo build --profile initramfs (static)");
    let mut cargo = process::cargo("build");
    cargo.args(["--package", "prepare-root", "--profile", "initramfs", "--target", &workspace.triple]);
    cargo.env("RUSTFLAGS", "-C target-feature=+crt-static");
    process::run(cargo)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::PACKAGES;
    use crate::manifest::{MANIFEST, Source};

    #[test]
    fn every_installed_program_is_built() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let read = |package| {
            let places = [root.join(package), root.join("crates").join(package)];
            places.iter().find_map(|folder| std::fs::read_to_string(folder.join("Cargo.toml")).ok()).unwrap()
        };
        let manifests: String = PACKAGES.iter().map(read).collect();
        for row in MANIFEST {
            if let Source::Program(name) = row.source {
                assert!(manifests.contains(&format!("name = \"{name}\"\npath")), "{name} is not built");
            }
        }
    }
}
