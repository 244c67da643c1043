// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making an empty repository.

use std::os::fd::AsFd;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use fn_error_context::context;
use formats::keyfile::Keyfile;
use rustix::fs::{CWD, Mode as Permissions, mkdirat, openat, statat};
use rustix::io::Errno;

use crate::dirs::DIRECTORY_MODE;
use crate::{Mode, Repo, bytes};

/// Directories of an empty repository.
pub(crate) const DIRECTORIES: &[&str] = &[
    "objects",
    "tmp",
    "extensions",
    "state",
    "refs",
    "refs/heads",
    "refs/mirrors",
    "refs/remotes",
    "tmp/cache",
];

/// The repository that is to be made.
#[derive(Debug, Clone)]
pub struct InitOptions {
    /// How files are stored.
    pub mode: Mode,
    /// `core.collection-id`.
    pub collection_id: Option<String>,
}

impl Repo {
    /// Makes a repository at `path`, whose parent must exist, and opens it. An existing repository is opened
    /// as it is: missing directories are made, the configuration stays.
    pub fn init(path: impl AsRef<Path>, options: &InitOptions) -> Result<Self> {
        Self::init_at(CWD, path, options)
    }

    /// As [`Repo::init`], below the directory `at`.
    #[context("Creating repository {}", path.as_ref().display())]
    pub fn init_at(at: impl AsFd, path: impl AsRef<Path>, options: &InitOptions) -> Result<Self> {
        let (at, path) = (at.as_fd(), path.as_ref());
        if let Some(id) = &options.collection_id {
            check_collection_id(id)?;
        }
        // The umask decides who else may read or write, as for the C tools.
        make_dir(at, path)?;
        let dir = openat(at, path, crate::dirs::DIR_FLAGS, Permissions::empty())?;
        for name in DIRECTORIES {
            make_dir(dir.as_fd(), Path::new(name))?;
        }
        match statat(&dir, "config", rustix::fs::AtFlags::SYMLINK_NOFOLLOW) {
            // The configuration comes last: what has one is whole.
            Err(Errno::NOENT) => bytes::replace(&dir, "config", config(options)?.to_string().as_bytes())?,
            Err(error) => return Err(error).context("config"),
            Ok(_) => {}
        }
        Self::open_at(at, path)
    }
}

impl Repo {
    /// Makes those directories again that somebody has removed, durably: a copy without empty directories, or a cleaner of `tmp`.
    /// Commands that only read do without them, but the C tools list no ref without `refs/remotes`.
    #[context("Making directories of {}", self.path().display())]
    pub(crate) fn furnish(&self) -> Result<()> {
        for name in DIRECTORIES.iter().filter(|name| **name != "objects") {
            match mkdirat(self.dir(), *name, DIRECTORY_MODE) {
                Ok(()) => bytes::sync_dir(self.dir(), name.rsplit_once('/').map_or(".", |(above, _)| above))?,
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error).with_context(|| format!("mkdir({name})")),
            }
        }
        Ok(())
    }
}

/// Checks that a collection id has the form of a D-Bus interface name: two or more elements of letters, digits and underscores,
/// none of which begins with a digit.
fn check_collection_id(id: &str) -> Result<()> {
    let is_element = |element: &str| {
        element.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && element.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let is_valid = id.len() <= 255 && id.contains('.') && id.split('.').all(is_element);
    ensure!(is_valid, "Invalid collection ID {id}; give a reversed domain name, such as org.example.Os");
    Ok(())
}

fn config(options: &InitOptions) -> Result<Keyfile> {
    let mut config = Keyfile::parse("[core]\nrepo_version=1\n")?;
    config.set_string("core", "mode", options.mode.config_name());
    if let Some(id) = &options.collection_id {
        config.set_string("core", "collection-id", id);
    }
    Ok(config)
}

fn make_dir(at: rustix::fd::BorrowedFd<'_>, path: &Path) -> Result<()> {
    match mkdirat(at, path, DIRECTORY_MODE) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("mkdir({})", path.display())),
    }
}
