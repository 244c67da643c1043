// SPDX-License-Identifier: MIT OR Apache-2.0
//! `./run dist`: the source archive of a release, which builds without network, its checksums, and bills of materials.
//! `docs/releasing.md` says what is in them.

mod archive;
mod sbom;
mod trial;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use fn_error_context::context;
use serde::Deserialize;

use crate::workspace::Workspace;
use crate::{process, terminal, tree};

/// The files that a release consists of.
const SUMS: &str = "SHA256SUMS";

#[derive(Deserialize)]
struct Manifest {
    workspace: WorkspaceTable,
}

#[derive(Deserialize)]
struct WorkspaceTable {
    package: Package,
}

#[derive(Deserialize)]
struct Package {
    version: String,
}

/// Makes the files of a release from the last commit, and prints their checksums. The trial builds a package of the archive
/// without network.
pub(crate) fn run(workspace: &Workspace, out: Option<&Path>, with_trial: bool) -> Result<()> {
    let work = workspace.target.join("dist");
    let out = out.map_or_else(|| work.join("out"), Path::to_owned);
    let changed = git(workspace, &["status", "--porcelain"])?.lines().count();
    if changed > 0 {
        eprintln!("note: the archive has the last commit; {changed} files with changes are not in it");
    }
    let manifest = git(workspace, &["show", "HEAD:Cargo.toml"])?;
    let name = format!("ostree-rs-{}", version(&manifest)?);
    let time = git(workspace, &["log", "-1", "--format=%ct"])?;
    let time: u64 = time.trim().parse().with_context(|| format!("{time:?} is no time of a commit"))?;
    let stage = work.join("stage");
    tree::remove(&stage)?;
    for dir in [&stage, &out] {
        std::fs::create_dir_all(dir).with_context(|| format!("Creating {}", dir.display()))?;
    }
    terminal::progress("taking the files of the last commit, and all crates");
    archive::lay_out(workspace, &stage, &name)?;
    let archive = out.join(format!("{name}.tar.gz"));
    archive::pack(&stage, &name, time, &archive)?;
    let mut files = vec![archive.clone()];
    files.extend(sbom::write(workspace, &stage.join(&name), &out, &name, time)?);
    print!("{}", sums(&out, &files)?);
    if with_trial {
        println!("{}", trial::run(&archive, &name, &work.join("trial"))?);
    }
    tree::remove(&stage)
}

/// Writes the checksums of files in a directory, in the form of `sha256sum`; returns them.
#[context("Writing {SUMS}")]
fn sums(out: &Path, files: &[PathBuf]) -> Result<String> {
    let names = files.iter().filter_map(|file| file.file_name());
    let sums = process::output(process::command("sha256sum").current_dir(out).arg("--").args(names))?;
    std::fs::write(out.join(SUMS), &sums)?;
    Ok(sums)
}

fn version(manifest: &str) -> Result<String> {
    let manifest: Manifest = toml::from_str(manifest).context("Reading the version in Cargo.toml")?;
    Ok(manifest.workspace.package.version)
}

fn git(workspace: &Workspace, arguments: &[&str]) -> Result<String> {
    let mut git: Command = process::command("git");
    process::output(git.current_dir(&workspace.root).args(arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_workspace() {
        assert_eq!(version("[workspace.package]\nversion = \"1.2.3\"\n").unwrap(), "1.2.3");
        assert!(version("[package]\nversion = \"1.2.3\"\n").is_err());
    }

    #[test]
    fn sums_are_those_that_sha256sum_checks() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        std::fs::write(&file, "a\n").unwrap();
        sums(dir.path(), std::slice::from_ref(&file)).unwrap();
        let check = || {
            process::command("sha256sum").current_dir(dir.path()).args(["--check", "--status", SUMS]).status()
        };
        assert!(check().unwrap().success());
        std::fs::write(&file, "b\n").unwrap();
        assert!(!check().unwrap().success());
    }
}
