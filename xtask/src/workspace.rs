// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where things are: the checkout, what cargo builds, the cache that outlives both.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::process;

/// The places that the verbs work in.
pub(crate) struct Workspace {
    /// The checkout.
    pub(crate) root: PathBuf,
    /// Cargo's target directory.
    pub(crate) target: PathBuf,
    /// `$OSTREE_RS_CACHE`, else `~/.cache/ostree-rs`: images, packages and the peer.
    pub(crate) cache: PathBuf,
    /// The target triple of this machine.
    pub(crate) triple: String,
}

impl Workspace {
    /// Finds them from the place of this crate, the environment and the compiler.
    pub(crate) fn find() -> Result<Self> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here.parent().context("xtask/ has no directory above it")?.to_owned();
        ensure!(
            root.join("Cargo.toml").is_file(),
            "{} is not the checkout any more; build xtask again",
            root.display()
        );
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(dir) => std::path::absolute(dir)?,
            None => root.join("target"),
        };
        let cache = match std::env::var_os("OSTREE_RS_CACHE") {
            Some(dir) => std::path::absolute(dir)?,
            None => {
                PathBuf::from(std::env::var_os("HOME").context("neither OSTREE_RS_CACHE nor HOME is set")?)
                    .join(".cache/ostree-rs")
            }
        };
        std::fs::create_dir_all(&cache).with_context(|| format!("Creating {}", cache.display()))?;
        Ok(Self { root, target, cache, triple: host_triple()? })
    }

    /// Our own `ostree`, as `build` leaves it.
    pub(crate) fn ostree(&self) -> PathBuf {
        self.target.join("release/ostree")
    }

    /// The static program of the initramfs, as `build` leaves it.
    pub(crate) fn prepare_root(&self) -> PathBuf {
        self.target.join(&self.triple).join("initramfs/ostree-prepare-root")
    }

    /// Where the manual pages and completions are made.
    pub(crate) fn documents(&self) -> PathBuf {
        self.target.join("documents")
    }

    /// The tree that `test`, `demo` and `vm` install into.
    pub(crate) fn destdir(&self) -> PathBuf {
        self.target.join("destdir")
    }

    /// Every file that git tracks or would add, relative to the root.
    pub(crate) fn files(&self) -> Result<Vec<PathBuf>> {
        let list = process::output(process::command("git").current_dir(&self.root).args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]))?;
        let mut files: Vec<PathBuf> =
            list.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).collect();
        files.sort();
        files.dedup();
        // A file that somebody just deleted is still in the index.
        files.retain(|file| self.root.join(file).symlink_metadata().is_ok());
        Ok(files)
    }
}

fn host_triple() -> Result<String> {
    let version = process::output(process::command("rustc").arg("-vV"))?;
    let triple = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(triple.context("rustc -vV names no host")?.to_owned())
}
