// SPDX-License-Identifier: MIT OR Apache-2.0
//! A physical root: the directory that has `ostree` and `boot`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use bootloader::Places;
use formats::bootlink::DeploymentPath;
use formats::object::Commit;
use repo::Repo;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, Timestamps};
use rustix::io::Errno;

use crate::load::running_deployment;
use crate::lock::Lock;
use crate::namespace::{Namespace, require_writable};

/// An open physical root.
#[derive(Debug)]
pub struct Sysroot {
    path: PathBuf,
    root: OwnedFd,
    boot: OwnedFd,
    repo: Repo,
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
        let boot = open(top.as_fd(), Path::new("boot")).with_context(|| {
            format!(
                "Opening {}/boot: make the directory, or mount the boot file system there",
                path.display()
            )
        })?;
        Ok(Self { path: path.to_owned(), root, boot, repo, _namespace: Namespace::default() })
    }

    /// As [`open`](Self::open), to change something: where the running system's `/sysroot` or `/boot` are
    /// read-only, they are made writable in a mount namespace of the calling thread, until this is dropped. Elsewhere
    /// a read-only one is an error.
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

    /// Takes the lock; see [`Lock`]. Waits for as long as `core.lock-timeout-secs` of the repository says.
    pub fn lock(&self, on_wait: impl FnOnce()) -> Result<Lock> {
        let mut on_wait = Some(on_wait);
        let mut tell = || {
            if let Some(on_wait) = on_wait.take() {
                on_wait();
            }
        };
        let patience = self.repo.settings().lock_timeout;
        match Lock::take(self.root(), patience, &mut tell) {
            // It is a file, too.
            Err(error) if error.downcast_ref() == Some(&Errno::NOSPC) => {
                self.release_reserve();
                Lock::take(self.root(), patience, &mut tell)
            }
            taken => taken,
        }
    }

    /// The path that it was opened by, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The system's repository.
    pub fn repo(&self) -> &Repo {
        &self.repo
    }

    pub(crate) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    pub(crate) fn places(&self) -> Places<'_> {
        Places { root: self.root.as_fd(), boot: self.boot.as_fd() }
    }

    /// What a deployment's commit states as its version.
    pub fn version_of(&self, path: &DeploymentPath) -> Option<String> {
        stated_version(&self.repo.load_commit(&path.checksum).ok()?)
    }

    /// Tells other programs that the deployments have changed. What is kept of a staged deployment stays true.
    pub(crate) fn touch(&self) -> Result<()> {
        self.touch_staged(None)
    }

    /// Sets the time of `ostree/deploy`, which other programs watch.
    pub(crate) fn set_time(&self) -> Result<()> {
        let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
        let times = Timestamps { last_access: now, last_modification: now };
        rustix::fs::utimensat(self.root(), "ostree/deploy", &times, AtFlags::empty())
            .context("Touching ostree/deploy")
    }
}

/// The version that a commit states; one that is no text is none.
pub(crate) fn stated_version(commit: &Commit) -> Option<String> {
    stated(commit, "version")
}

/// What a commit states under a key; what is no text is nothing.
pub(crate) fn stated(commit: &Commit, key: &str) -> Option<String> {
    let value = commit.lookup(key).ok()??;
    value.view().ok()?.as_str().ok().map(str::to_owned)
}

/// Whether the running system was booted from the root at `path`. What is not there is for others to tell.
fn is_of_running_system(path: &Path) -> Result<bool> {
    let Some((device, _)) = running_deployment()? else { return Ok(false) };
    let here = rustix::fs::stat(path.join("ostree/deploy"));
    Ok(here.is_ok_and(|here| here.st_dev == device))
}
