// SPDX-License-Identifier: MIT OR Apache-2.0
//! A physical root: the directory that has `ostree` and `boot`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};
use bootloader::{KernelError, KernelFiles, Places, ReadTree};
use formats::bootlink::DeploymentPath;
use formats::object::Commit;
use repo::Repo;
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::config::Config;
use crate::namespace::{Namespace, require_writable};
use crate::options::Options;
use crate::running::running_here;

/// An open physical root.
#[derive(Debug)]
pub struct Sysroot {
    path: PathBuf,
    root: OwnedFd,
    boot: OwnedFd,
    repo: Repo,
    options: Options,
    config: OnceLock<Config>,
    // The last to go.
    _namespace: Namespace,
}

impl Sysroot {
    /// Opens the physical root at `path`; of a running system `/` will do, since its `/ostree` and `/boot` lead to
    /// those of the physical root.
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = |at: BorrowedFd<'_>, name: &Path| rustix::fs::openat(at, name, flags, Mode::empty());
        let top =
            open(CWD, path).with_context(|| format!("Initializing sysroot: opendir({})", path.display()))?;
        if matches!(rustix::fs::statat(&top, "ostree", AtFlags::empty()), Err(Errno::NOENT)) {
            let path = path.display();
            bail!("There is no directory ostree in {path}; run `ostree admin init-fs {path}` first");
        }
        let repo = Repo::open_at(&top, "ostree/repo").context("loading sysroot: Opening sysroot repo")?;
        repo.remember_trees();
        // `/ostree` of a running system is a link into the physical root: what it leads to has that as its parent.
        let root = open(top.as_fd(), Path::new("ostree/..")).context("Opening the physical root")?;
        let boot = open(top.as_fd(), Path::new("boot"));
        let todo = match boot {
            Err(Errno::NOENT | Errno::NOTDIR) => ": make the directory, or mount the boot file system there",
            _ => "",
        };
        let boot = boot.with_context(|| format!("Opening {}/boot{todo}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            root,
            boot,
            repo,
            options: Options::default(),
            config: OnceLock::new(),
            _namespace: Namespace::default(),
        })
    }

    /// Opens as [`open`](Self::open) does, to change something.
    ///
    /// Where the running system's `/sysroot` or `/boot` are read-only, they are made writable in a mount namespace of the calling
    /// thread, until this is dropped; it does not leave the thread. Elsewhere a read-only one is an error.
    ///
    /// # Errors
    ///
    /// A place is read-only and cannot be made writable.
    pub fn open_for_change(path: &Path) -> Result<Self> {
        let namespace = if is_of_running_system(path)? {
            Namespace::enter(path)?
        } else {
            require_writable(path)?;
            Namespace::default()
        };
        Ok(Self { _namespace: namespace, ..Self::open(path)? })
    }

    /// The same root with a `/boot` that is elsewhere: of live media that have it mounted beside the root.
    pub fn with_boot(mut self, path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        self.boot = rustix::fs::openat(CWD, path, flags, Mode::empty())
            .with_context(|| format!("Opening {}", path.display()))?;
        Ok(self)
    }

    /// The same, treated in this way.
    pub fn with_options(mut self, options: &Options) -> Self {
        self.options = options.clone();
        self
    }

    /// The options that it was opened with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Finds the boot files of a tree, as far as the options let them count.
    ///
    /// # Errors
    ///
    /// The tree has no kernel, or several that do not fit together, or cannot be read.
    pub fn kernel_files(&self, tree: impl ReadTree) -> Result<KernelFiles, KernelError> {
        self.options.kernel_files(tree)
    }

    /// The path that it was opened by, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The system's repository.
    pub fn repo(&self) -> &Repo {
        &self.repo
    }

    /// Reads the group `[sysroot]` of the repository's configuration, once.
    ///
    /// # Errors
    ///
    /// A key has a value that it cannot have.
    pub fn boot_config(&self) -> Result<&Config> {
        if let Some(config) = self.config.get() {
            return Ok(config);
        }
        let config = Config::parse(self.repo.config()).context("Reading ostree/repo/config")?;
        Ok(self.config.get_or_init(|| config))
    }

    /// The physical root.
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// The physical root and its `/boot`, as the crate `bootloader` wants them.
    pub fn places(&self) -> Places<'_> {
        Places { root: self.root.as_fd(), boot: self.boot.as_fd() }
    }

    /// Reads the version that a deployment's commit states.
    pub fn version_of(&self, path: &DeploymentPath) -> Option<String> {
        stated_version(&self.repo.load_commit(&path.checksum).ok()?)
    }
}

/// Reads the version that a commit states; one that is no text is none.
pub fn stated_version(commit: &Commit) -> Option<String> {
    stated(commit, "version")
}

/// Reads the text that a commit states under a key; a value of another type is none.
pub(crate) fn stated(commit: &Commit, key: &str) -> Option<String> {
    let value = commit.lookup(key).ok()??;
    value.view().ok()?.as_str().ok().map(str::to_owned)
}

/// Whether the running system was booted from the root at `path`. What is not there is for others to tell.
fn is_of_running_system(path: &Path) -> Result<bool> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(root) = rustix::fs::openat(CWD, path.join("ostree/.."), flags, Mode::empty()) else {
        return Ok(false);
    };
    let running =
        running_here(root.as_fd()).with_context(|| format!("Looking in {} for what runs", path.display()))?;
    Ok(running.is_some())
}
