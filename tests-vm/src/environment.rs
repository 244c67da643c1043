// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where things are: our programs, the cache, the peer, the image definitions.

use std::env;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The directories that everything here works with. All paths are absolute.
#[derive(Debug, Clone)]
pub(crate) struct Environment {
    /// Our programs, laid out as a distribution packages them; empty for work that needs none.
    destdir: PathBuf,
    /// The directory for what stays between runs: packages, trees, commits, logs.
    cache: PathBuf,
    /// A Debian tree that has the C `ostree` in `usr/bin`.
    peer: PathBuf,
    /// The mkosi definitions.
    definitions: PathBuf,
}

impl Environment {
    /// Reads the environment variables; `OSTREE_RS_DESTDIR` must name a tree with `usr/bin/ostree`.
    pub(crate) fn from_process() -> Result<Self> {
        let mut environment = Self::without_programs()?;
        require_root()?;
        let destdir = env::var_os("OSTREE_RS_DESTDIR")
            .context("OSTREE_RS_DESTDIR is not set: lay our programs out with `./run install --destdir=DIR` and name DIR")?;
        let destdir = std::path::absolute(Path::new(&destdir)).context("Resolving OSTREE_RS_DESTDIR")?;
        for program in ["usr/bin/ostree", "usr/lib/ostree/ostree-prepare-root"] {
            if !destdir.join(program).exists() {
                bail!("{} lacks {program}: run `./run install --destdir={0}`", destdir.display());
            }
        }
        environment.destdir = destdir;
        Ok(environment)
    }

    /// As `from_process`, for commands that use none of our programs.
    pub(crate) fn without_programs() -> Result<Self> {
        let project = match env::var_os("OSTREE_RS_CACHE") {
            Some(cache) => PathBuf::from(cache),
            None => {
                let home = env::var_os("HOME").context("Neither OSTREE_RS_CACHE nor HOME is set")?;
                Path::new(&home).join(".cache/ostree-rs")
            }
        };
        let project = std::path::absolute(project).context("Resolving the cache directory")?;
        let peer = env::var_os("OSTREE_PEER_DIR").map_or_else(|| project.join("peer-trixie"), PathBuf::from);
        let cache = project.join("vm");
        fs::create_dir_all(&cache).with_context(|| format!("Creating {}", cache.display()))?;
        Ok(Self {
            destdir: PathBuf::new(),
            cache,
            peer: std::path::absolute(peer).context("Resolving OSTREE_PEER_DIR")?,
            definitions: Path::new(env!("CARGO_MANIFEST_DIR")).join("mkosi"),
        })
    }

    /// The tree with our programs.
    pub(crate) fn destdir(&self) -> &Path {
        &self.destdir
    }

    /// One of our programs, or another file of the tree that holds them.
    pub(crate) fn program(&self, path: &str) -> PathBuf {
        self.destdir.join(path)
    }

    /// A directory of the cache, created when it is missing.
    pub(crate) fn cache(&self, name: &str) -> Result<PathBuf> {
        let path = self.cache.join(name);
        fs::create_dir_all(&path).with_context(|| format!("Creating {}", path.display()))?;
        Ok(path)
    }

    /// A directory under the cache's `scratch`, empty.
    pub(crate) fn scratch(&self, name: &str) -> Result<PathBuf> {
        let path = self.cache("scratch")?.join(name);
        if path.exists() {
            fs::remove_dir_all(&path).with_context(|| format!("Emptying {}", path.display()))?;
        }
        fs::create_dir(&path).with_context(|| format!("Creating {}", path.display()))?;
        Ok(path)
    }

    /// Holds a lock of this name until the result is dropped: one at a time may fill a part of the cache.
    pub(crate) fn lock(&self, name: &str) -> Result<File> {
        let path = self.cache.join(format!("{name}.lock"));
        let file = File::create(&path).with_context(|| format!("Creating {}", path.display()))?;
        file.lock().with_context(|| format!("Locking {}", path.display()))?;
        Ok(file)
    }

    /// The tree with the C `ostree`.
    pub(crate) fn peer(&self) -> Result<&Path> {
        if !self.peer.join("usr/bin/ostree").exists() {
            bail!(
                "{} lacks usr/bin/ostree: set OSTREE_PEER_DIR to a Debian tree that has it",
                self.peer.display()
            );
        }
        Ok(&self.peer)
    }

    /// A directory of mkosi definitions.
    pub(crate) fn definitions(&self, name: &str) -> PathBuf {
        self.definitions.join(name)
    }
}

/// Images are made with loop devices and files of root.
fn require_root() -> Result<()> {
    let metadata = fs::metadata("/proc/self").context("Reading /proc/self")?;
    if metadata.uid() != 0 {
        bail!("this must run as root: it mounts disks and makes files that root owns");
    }
    Ok(())
}
