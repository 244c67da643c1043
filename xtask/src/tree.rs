// SPDX-License-Identifier: MIT OR Apache-2.0
//! Debian trees in the cache, made by debootstrap from the mirror of this machine. A tree that is not whole has another name,
//! and one that was made by another recipe is made again.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use fn_error_context::context;
use rustix::fs::FlockOperation;

use crate::{apt, process, terminal};

/// In the tree, written last; a tree without it, or with another text in it, is made again.
const STAMP: &str = ".made-by-xtask-peer";

/// A tree as it is meant to be.
pub(crate) struct Tree {
    /// Where it is.
    pub(crate) dir: PathBuf,
    /// The Debian release.
    pub(crate) suite: &'static str,
    /// Packages beyond the smallest system, with commas between them.
    pub(crate) packages: String,
    /// All that it depends on, as text.
    pub(crate) recipe: String,
}

impl Tree {
    /// Makes it unless it is there. `finish` is given a tree that is not in its place yet.
    pub(crate) fn ensure(&self, finish: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let name = PathBuf::from(format!("{}.lock", self.dir.display()));
        let lock = std::fs::File::create(&name).with_context(|| format!("Creating {}", name.display()))?;
        rustix::fs::flock(&lock, FlockOperation::LockExclusive).context("Waiting for another run")?;
        if self.is_complete() { Ok(()) } else { self.make(finish) }
    }

    pub(crate) fn is_complete(&self) -> bool {
        std::fs::read_to_string(self.dir.join(STAMP)).is_ok_and(|text| text == self.recipe)
    }

    #[context("Making the Debian {} tree {}", self.suite, self.dir.display())]
    fn make(&self, finish: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        terminal::progress(&format!(
            "debootstrap {} from the mirror of this machine (about a minute, 300 MB)",
            self.suite
        ));
        let new = self.dir.with_extension("new");
        remove(&new)?;
        let mut debootstrap = process::as_root("debootstrap");
        debootstrap.arg("--variant=minbase");
        if !self.packages.is_empty() {
            debootstrap.arg(format!("--include={}", self.packages));
        }
        debootstrap.arg(self.suite).arg(&new).arg(apt::mirror()?);
        process::run(debootstrap)?;
        finish(&new)?;
        let mut stamp = process::as_root("sh");
        // The packages were unpacked: their archives are as big as half of the tree.
        stamp.args([
            "-c",
            r#"set -eu; rm -f "$1"/var/cache/apt/archives/*.deb; printf %s "$2" > "$1/$3"; sync -f "$1""#,
            "sh",
        ]);
        stamp.arg(&new).arg(&self.recipe).arg(STAMP);
        process::run(stamp)?;
        // The former one stays in use until now.
        remove(&self.dir)?;
        let mut rename = process::as_root("mv");
        rename.arg("-T").arg(&new).arg(&self.dir);
        process::run(rename)
    }
}

/// Removes a directory with all that is in it, without going into what is mounted there.
pub(crate) fn remove(directory: &Path) -> Result<()> {
    let mut remove = process::as_root("rm");
    remove.args(["-rf", "--one-file-system", "--"]).arg(directory);
    process::run(remove)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_without_its_stamp_is_half_made() {
        let cache = tempfile::tempdir().unwrap();
        let tree = Tree {
            dir: cache.path().join("tree"),
            suite: "trixie",
            packages: String::new(),
            recipe: "trixie minbase\n".to_owned(),
        };
        assert!(!tree.is_complete());
        std::fs::create_dir(&tree.dir).unwrap();
        std::fs::write(tree.dir.join(STAMP), "other\n").unwrap();
        assert!(!tree.is_complete());
        std::fs::write(tree.dir.join(STAMP), &tree.recipe).unwrap();
        assert!(tree.is_complete());
    }
}
