// SPDX-License-Identifier: MIT OR Apache-2.0
//! Laying the programs out as a distribution packages them: a plan of copies from the manifest, then the copies.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use fn_error_context::context;

use crate::manifest::{MANIFEST, Row, Source};
use crate::workspace::Workspace;
use crate::{build, terminal};

/// One file to copy.
#[derive(Debug, PartialEq, Eq)]
struct Copy {
    from: PathBuf,
    /// Below the destination directory.
    to: PathBuf,
    mode: u32,
}

/// Builds, then installs below `destdir`.
pub(crate) fn into(workspace: &Workspace, destdir: &Path) -> Result<()> {
    build::all(workspace)?;
    built(workspace, destdir)
}

/// Installs what `build` made below `destdir`.
#[context("Installing into {}", destdir.display())]
pub(crate) fn built(workspace: &Workspace, destdir: &Path) -> Result<()> {
    let copies = plan(workspace, MANIFEST)?;
    for copy in &copies {
        apply(copy, destdir)?;
    }
    terminal::progress(&format!("installed {} files into {}", copies.len(), destdir.display()));
    Ok(())
}

fn plan(workspace: &Workspace, rows: &[Row]) -> Result<Vec<Copy>> {
    let mut copies = Vec::new();
    for row in rows {
        let to = PathBuf::from(row.destination);
        let mut add = |from: PathBuf, to: PathBuf| copies.push(Copy { from, to, mode: row.mode });
        match row.source {
            Source::Program(name) => add(workspace.target.join("release").join(name), to),
            Source::Static => add(workspace.prepare_root(), to),
            Source::File(path) => add(workspace.root.join(path), to),
            Source::Documents => {
                let base = workspace.documents().join(row.destination);
                for path in files_below(&base)? {
                    let name = path.strip_prefix(&base).unwrap_or(&path).to_owned();
                    add(path, to.join(name));
                }
            }
            Source::All { folder, ending } => {
                for name in names_in(&workspace.root.join(folder), ending)? {
                    add(workspace.root.join(folder).join(&name), to.join(&name));
                }
            }
        }
    }
    for copy in &copies {
        ensure!(copy.from.is_file(), "{} is in the manifest and is missing", copy.from.display());
    }
    Ok(copies)
}

fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(dir) = todo.pop() {
        for name in names_in(&dir, "")? {
            let path = dir.join(name);
            if path.is_dir() { todo.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    Ok(files)
}

fn names_in(folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("Reading {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let name = PathBuf::from(entry.with_context(|| format!("Reading {}", folder.display()))?.file_name());
        if name.to_string_lossy().ends_with(ending) {
            names.push(name);
        }
    }
    names.sort();
    ensure!(!names.is_empty(), "{} holds no *{ending}, and the manifest wants one", folder.display());
    Ok(names)
}

fn apply(copy: &Copy, destdir: &Path) -> Result<()> {
    let to = destdir.join(&copy.to);
    let parent = to.parent().context("a destination without a folder")?;
    std::fs::create_dir_all(parent).with_context(|| format!("Creating {}", parent.display()))?;
    // A running program cannot be written over, but its name can.
    let _ = std::fs::remove_file(&to);
    std::fs::copy(&copy.from, &to)
        .with_context(|| format!("Copying {} to {}", copy.from.display(), to.display()))?;
    std::fs::set_permissions(&to, std::fs::Permissions::from_mode(copy.mode))
        .with_context(|| format!("Setting the mode of {}", to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(root: &Path) -> Workspace {
        Workspace {
            root: root.to_owned(),
            target: root.join("target"),
            cache: root.join("cache"),
            triple: "t".to_owned(),
        }
    }

    #[test]
    fn a_missing_source_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let rows = [Row { source: Source::File("absent"), destination: "usr/x", mode: 0o644 }];
        let error = plan(&workspace(dir.path()), &rows).unwrap_err().to_string();
        assert!(error.contains("absent") && error.contains("missing"), "{error}");
        std::fs::create_dir(dir.path().join("units")).unwrap();
        let rows = [Row {
            source: Source::All { folder: "units", ending: ".service" },
            destination: "usr/lib",
            mode: 0o644,
        }];
        assert!(plan(&workspace(dir.path()), &rows).unwrap_err().to_string().contains(".service"));
    }

    #[test]
    fn files_arrive_with_their_modes() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("units")).unwrap();
        for name in ["a.service", "b.service", "c.conf"] {
            std::fs::write(dir.path().join("units").join(name), name).unwrap();
        }
        let rows = [Row {
            source: Source::All { folder: "units", ending: ".service" },
            destination: "usr/lib/systemd/system",
            mode: 0o600,
        }];
        let copies = plan(&workspace(dir.path()), &rows).unwrap();
        assert_eq!(copies.len(), 2);
        let destdir = dir.path().join("dest");
        for copy in copies.iter().chain(&copies) {
            apply(copy, &destdir).unwrap();
        }
        let installed = destdir.join("usr/lib/systemd/system/b.service");
        assert_eq!(std::fs::metadata(&installed).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(std::fs::read_to_string(installed).unwrap(), "b.service");
    }

    #[test]
    fn destinations_are_below_usr() {
        for row in MANIFEST {
            assert!(
                Path::new(row.destination).starts_with("usr") && !row.destination.contains(".."),
                "{}",
                row.destination
            );
        }
    }
}
