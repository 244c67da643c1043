// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C `ostree` of Debian, taken along into a guest without being installed there: programs, the libraries that they
//! name and the loader that runs them, in one directory. Or installed there in place of ours.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use fn_error_context::context;

use crate::command;

/// The shell command that runs `ostree` in the guest, where the payload is unpacked in `/run/payload`.
pub(crate) const COMMAND: &str =
    "/run/payload/peer/ld.so --library-path /run/payload/peer/lib /run/payload/peer/ostree";

/// Where a Debian tree for this processor keeps its libraries.
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// Where a deployment has programs, units and settings of either `ostree` that are named `ostree-*`.
const PLACES: [&str; 4] =
    ["usr/lib/ostree", "usr/lib/systemd/system", "usr/lib/systemd/system-generators", "usr/lib/tmpfiles.d"];

/// Copies programs out of the Debian tree `tree` into `DIRECTORY/peer`.
#[context("Taking C programs out of {}", tree.display())]
pub(crate) fn collect(tree: &Path, programs: &[&str], directory: &Path) -> Result<PathBuf> {
    let peer = directory.join("peer");
    fs::create_dir_all(peer.join("lib")).with_context(|| format!("Creating {}", peer.display()))?;
    copy(&loader(tree), &peer.join("ld.so"))?;
    for program in programs {
        let program = tree.join(program);
        copy(&program, &peer.join(name(&program)?))?;
        for library in needed(tree, &program)? {
            copy(&library, &peer.join("lib").join(name(&library)?))?;
        }
    }
    Ok(peer)
}

/// Replaces our programs and units in `target`, a tree to commit, by those of the Debian tree `tree`.
#[context("Installing C programs into {}", target.display())]
pub(crate) fn install(tree: &Path, target: &Path) -> Result<()> {
    for ours in installed(target)? {
        fs::remove_file(target.join(&ours)).with_context(|| format!("Removing {}", ours.display()))?;
    }
    for file in installed(tree)? {
        copy(&tree.join(&file), &target.join(&file))?;
        let libraries =
            if file.extension().is_none() { needed(tree, &tree.join(&file))? } else { Vec::new() };
        for library in libraries {
            let place = target.join(LIBRARIES).join(name(&library)?);
            // The same release of Debian: what is there will do.
            if !place.exists() {
                copy(&library, &place)?;
            }
        }
    }
    Ok(())
}

/// The files of an `ostree` in a tree.
fn installed(tree: &Path) -> Result<Vec<PathBuf>> {
    let mut files = vec![PathBuf::from("usr/bin/ostree")];
    for place in PLACES {
        let directory = tree.join(place);
        for entry in fs::read_dir(&directory).with_context(|| format!("Reading {}", directory.display()))? {
            let name = entry?.file_name();
            if name.to_string_lossy().starts_with("ostree-") {
                files.push(Path::new(place).join(name));
            }
        }
    }
    Ok(files)
}

fn loader(tree: &Path) -> PathBuf {
    tree.join(LIBRARIES).join("ld-linux-x86-64.so.2")
}

/// The libraries of the tree that a program of it needs.
fn needed(tree: &Path, program: &Path) -> Result<Vec<PathBuf>> {
    let mut list = Command::new(loader(tree));
    list.arg("--library-path").arg(tree.join(LIBRARIES)).arg("--list").arg(program);
    libraries(&command::output(&mut list)?)
}

/// Lists the files that a program of ours needs where nothing is installed: libraries of a tree, and the loader that runs them.
pub(crate) fn runtime(tree: &Path, program: &Path) -> Result<Vec<PathBuf>> {
    let mut files = needed(tree, program)?;
    files.push(loader(tree));
    Ok(files)
}

fn name(file: &Path) -> Result<&OsStr> {
    file.file_name().with_context(|| format!("{} has no name", file.display()))
}

/// The files that the loader's list names.
fn libraries(list: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for line in list.lines() {
        let Some((name, rest)) = line.trim().split_once(" => ") else { continue };
        match rest.split_once(" (") {
            Some((path, _)) => found.push(PathBuf::from(path)),
            None => bail!("the library {name} is missing"),
        }
    }
    Ok(found)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("Copying {} to {}", from.display(), to.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_units_and_settings_are_found() {
        let tree = tempfile::tempdir().unwrap();
        for file in [
            "usr/bin/ostree",
            "usr/lib/ostree/ostree-remount",
            "usr/lib/ostree/prepare-root.conf",
            "usr/lib/systemd/system/ostree-remount.service",
            "usr/lib/systemd/system/other.service",
            "usr/lib/systemd/system-generators/ostree-system-generator",
            "usr/lib/tmpfiles.d/ostree-tmpfiles.conf",
        ] {
            let file = tree.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
        }
        let found = installed(tree.path()).unwrap();
        assert_eq!(found.len(), 5, "{found:?}");
        assert!(
            !found.iter().any(|file| file.ends_with("prepare-root.conf") || file.ends_with("other.service"))
        );
        fs::remove_dir_all(tree.path().join("usr/lib/tmpfiles.d")).unwrap();
        assert!(installed(tree.path()).is_err());
    }

    #[test]
    fn the_list_of_the_loader_is_read() {
        let list = "\tlinux-vdso.so.1 (0x00007ffe)\n\tlibostree-1.so.1 => /p/libostree-1.so.1 (0x00007f)\n\
            \t/lib64/ld-linux-x86-64.so.2 => /p/ld.so (0x00007f)\n";
        assert_eq!(
            libraries(list).unwrap(),
            [PathBuf::from("/p/libostree-1.so.1"), PathBuf::from("/p/ld.so")]
        );
        let error = libraries("\tlibsoup.so.2 => not found\n").unwrap_err();
        assert!(error.to_string().contains("libsoup.so.2"));
    }
}
