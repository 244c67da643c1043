// SPDX-License-Identifier: MIT OR Apache-2.0
//! The contents of the package: the installed tree, less what Debian has in a form of its own.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use fn_error_context::context;

/// Where `install` puts documents, and where Debian wants those of this package.
const DOCUMENTS: (&str, &str) = ("usr/share/doc/ostree", "usr/share/doc/ostree-rs");
/// Debian has the texts of licences in the file `copyright`.
const LICENSES: &str = "usr/share/licenses";
/// Debian wants these compressed; and the changelog.
const MANUALS: &str = "usr/share/man";

/// Copies the installed tree to its places in the package.
#[context("Laying out {}", tree.display())]
pub(super) fn lay_out(destdir: &Path, tree: &Path) -> Result<()> {
    for path in files(destdir)? {
        if let Some(place) = place(&path) {
            let to = tree.join(place);
            let parent = to.parent().context("a file without a directory")?;
            std::fs::create_dir_all(parent).with_context(|| format!("Creating {}", parent.display()))?;
            std::fs::copy(destdir.join(&path), &to).with_context(|| format!("Copying {}", path.display()))?;
        }
    }
    Ok(())
}

/// Where a file of the installed tree is in the package.
pub(super) fn place(path: &Path) -> Option<PathBuf> {
    if path.starts_with(LICENSES) {
        return None;
    }
    match path.strip_prefix(DOCUMENTS.0) {
        Ok(name) => Some(Path::new(DOCUMENTS.1).join(name)),
        Err(_) => Some(path.to_owned()),
    }
}

/// Files of `tree` that Debian wants compressed.
pub(super) fn compressed(tree: &Path) -> Result<Vec<PathBuf>> {
    let wanted = |path: &PathBuf| path.starts_with(MANUALS) || path.ends_with("changelog");
    Ok(files(tree)?.into_iter().filter(wanted).map(|path| tree.join(path)).collect())
}

/// All files below `tree`, less the package's control files; relative to it, sorted.
pub(super) fn files(tree: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut todo = vec![tree.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(&dir).with_context(|| format!("Reading {}", dir.display()))? {
            let entry = entry.with_context(|| format!("Reading {}", dir.display()))?;
            if entry.file_type()?.is_dir() {
                todo.push(entry.path());
            } else if let Ok(path) = entry.path().strip_prefix(tree) {
                files.push(path.to_owned());
            }
        }
    }
    files.retain(|path| !path.starts_with("DEBIAN"));
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        for (path, expected) in [
            ("usr/bin/ostree", Some("usr/bin/ostree")),
            ("usr/share/doc/ostree/README.md", Some("usr/share/doc/ostree-rs/README.md")),
            ("usr/share/doc/ostreefs/x", Some("usr/share/doc/ostreefs/x")),
            ("usr/share/licenses/ostree/LICENSE-MIT", None),
        ] {
            assert_eq!(place(Path::new(path)).as_deref(), expected.map(Path::new), "{path}");
        }
    }

    #[test]
    fn manuals_and_the_changelog_are_compressed_and_control_files_are_none() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["DEBIAN/control", "usr/share/man/man1/x.1", "usr/share/doc/p/changelog", "usr/bin/x"] {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let wanted =
            ["usr/share/doc/p/changelog", "usr/share/man/man1/x.1"].map(|path| dir.path().join(path));
        assert_eq!(compressed(dir.path()).unwrap(), wanted);
        assert_eq!(files(dir.path()).unwrap().len(), 3);
    }
}
