// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making a physical root, and a stateroot in it.

use std::os::fd::AsFd;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use fn_error_context::context;
use formats::bootlink::is_stateroot;
use repo::{InitOptions, Repo};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::Sysroot;

/// How much of a traditional root is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Epoch {
    /// Also `dev`, `home`, `proc`, `root`, `run`, `sys` and `tmp`: for a root that is entered without a boot.
    #[default]
    Legacy,
    /// Only `boot` and `ostree`.
    Modern,
    /// As `Modern`, with an `ostree` that only root may enter (ostree#3211).
    Private,
}

impl TryFrom<u8> for Epoch {
    type Error = anyhow::Error;

    fn try_from(number: u8) -> Result<Self> {
        Ok(match number {
            0 => Self::Legacy,
            1 => Self::Modern,
            2 => Self::Private,
            _ => bail!("Invalid epoch {number}: must be 0, 1 or 2"),
        })
    }
}

/// Directories of [`Epoch::Legacy`] and their modes.
const LEGACY: [(&str, u32); 7] = [
    ("dev", 0o755),
    ("home", 0o755),
    ("proc", 0o755),
    ("root", 0o700),
    ("run", 0o755),
    ("sys", 0o755),
    ("tmp", 0o1777),
];

/// Makes `path`, an existing directory, a physical root with an empty repository. What is there already stays.
#[context("Initializing {}", path.display())]
pub fn init_fs(path: &Path, epoch: Epoch) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::openat(CWD, path, flags, Mode::empty())
        .with_context(|| format!("opendir({})", path.display()))?;
    let legacy = if epoch == Epoch::Legacy { &LEGACY[..] } else { &[] };
    for (name, mode) in legacy {
        make_dir(&root, name, *mode)?;
    }
    make_dir(&root, "boot", 0o755)?;
    make_dir(&root, "ostree", if epoch == Epoch::Private { 0o700 } else { 0o755 })?;
    make_dir(&root, "ostree/deploy", 0o755)?;
    Repo::init_at(&root, "ostree/repo", &InitOptions { mode: repo::Mode::Bare, collection_id: None })?;
    durable::sync_fs(root.as_fd())
}

impl Sysroot {
    /// Makes an empty stateroot.
    #[context("Creating stateroot {name}")]
    pub fn init_stateroot(&self, name: &str) -> Result<()> {
        ensure!(is_stateroot(name), "a stateroot's name is one word without slashes and quotes");
        let path = format!("ostree/deploy/{name}");
        durable::new_dir(self.root(), &path, Mode::from_raw_mode(0o755))
            .with_context(|| format!("Creating {path}"))?;
        make_dir(self.root(), &format!("{path}/var"), 0o755)?;
        durable::sync_fs(self.root())?;
        self.touch()
    }
}

/// Makes a directory with this mode, whatever the umask; one that is there stays as it is.
pub(crate) fn make_dir(at: impl AsFd, path: &str, mode: u32) -> Result<()> {
    match durable::new_dir(at.as_fd(), path, Mode::from_raw_mode(mode)) {
        Ok(_) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("Creating directory {path}")),
    }
}
