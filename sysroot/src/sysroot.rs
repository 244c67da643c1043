// SPDX-License-Identifier: MIT OR Apache-2.0
//! A physical root: the directory that has `ostree` and `boot`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use bootloader::{BootState, Places};
use fn_error_context::context;
use formats::bootlink::DeploymentPath;
use formats::keyfile::Keyfile;
use formats::object::Commit;
use formats::run_state::RunState;
use formats::staged::Staged;
use prepare_root::calls::Calls;
use repo::Repo;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, Timestamps};
use rustix::io::Errno;

use crate::deployment::{Deployment, Origin};
use crate::lock::Lock;
use crate::namespace::Namespace;
use crate::staged;

/// Where the running system says that it was booted through ostree, and from which deployment.
const RUN_STATE: &str = "/run/ostree-booted";

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

/// What is deployed in a sysroot at one moment.
#[derive(Debug)]
pub struct Loaded {
    /// In the order of the boot menu: the first one is booted next. A staged one is in front of them.
    pub deployments: Vec<Deployment>,
    /// What the boot menu and the links say.
    pub boot: BootState,
    /// Whether the running system was booted from this sysroot, be its deployment in the menu or not.
    pub is_running_system: bool,
    /// The record of the staged deployment, which is the first in the list then.
    pub staged: Option<Staged>,
}

impl Loaded {
    /// The place of the running system in the list.
    pub fn booted(&self) -> Option<usize> {
        self.deployments.iter().position(|d| d.booted)
    }

    /// How many deployments are in the boot menu.
    pub(crate) fn menu_len(&self) -> usize {
        self.deployments.iter().filter(|d| !d.staged).count()
    }
}

impl Sysroot {
    /// Opens the physical root at `path`; of a running system `/` will do, since its `/ostree` and `/boot` lead to
    /// those of the physical root.
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = |at: BorrowedFd<'_>, name: &Path| rustix::fs::openat(at, name, flags, Mode::empty());
        let top =
            open(CWD, path).with_context(|| format!("Initializing sysroot: opendir({})", path.display()))?;
        let repo = Repo::open_at(&top, "ostree/repo").context("loading sysroot: Opening sysroot repo")?;
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
    /// read-only, they are made writable in a mount namespace of the calling thread, until this is dropped.
    pub fn open_for_change(path: &Path) -> Result<Self> {
        let namespace =
            if is_of_running_system(path)? { Namespace::enter(path)? } else { Namespace::default() };
        Ok(Self { _namespace: namespace, ..Self::open(path)? })
    }

    /// Takes the lock; see [`Lock`]. Waits for as long as `core.lock-timeout-secs` of the repository says.
    pub fn lock(&self, on_wait: impl FnOnce()) -> Result<Lock> {
        Lock::take(self.root(), self.repo.settings().lock_timeout, on_wait)
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

    /// Reads what is deployed.
    #[context("Loading sysroot {}", self.path.display())]
    pub fn load(&self) -> Result<Loaded> {
        let boot = BootState::read(self.places())?;
        let running = running_deployment()?;
        let mut deployments = Vec::new();
        for present in &boot.entries {
            // An entry whose link leads nowhere is shown by the boot loader's own tools; it is no deployment.
            let Some(path) = present.deployment.clone() else { continue };
            let identity = match rustix::fs::statat(self.root(), path.to_string(), AtFlags::empty()) {
                Ok(stat) => (stat.st_dev, stat.st_ino),
                Err(Errno::NOENT) => continue,
                Err(error) => return Err(error).with_context(|| format!("Reading {path}")),
            };
            deployments.push(Deployment {
                origin: self.read_origin(&path),
                booted: running == Some(identity),
                boot_checksum: present.bootlink.boot_checksum,
                entry: present.entry.clone(),
                staged: false,
                path,
            });
        }
        let here = rustix::fs::statat(self.root(), "ostree/deploy", AtFlags::empty())
            .context("Reading ostree/deploy")?;
        let is_running_system = running.is_some_and(|(device, _)| device == here.st_dev);
        let staged = if is_running_system { self.load_staged(&mut deployments)? } else { None };
        Ok(Loaded { deployments, boot, is_running_system, staged })
    }

    /// Puts the staged deployment in front. A record that cannot be read, or that names what is gone, is told at
    /// shutdown; it must not stop anything else.
    fn load_staged(&self, deployments: &mut Vec<Deployment>) -> Result<Option<Staged>> {
        let record = match staged::read() {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(None),
            Err(error) => {
                log::warn!("{error:#}");
                return Ok(None);
            }
        };
        let path = &record.target.path;
        if rustix::fs::statat(self.root(), path.to_string(), AtFlags::empty()).is_err() {
            log::warn!("The staged deployment {path} is gone");
            return Ok(None);
        }
        let staged = Deployment {
            origin: self.read_origin(path),
            booted: false,
            boot_checksum: record.target.boot_checksum,
            entry: staged::entry(&record, deployments),
            staged: true,
            path: path.clone(),
        };
        deployments.insert(0, staged);
        Ok(Some(record))
    }

    /// What a deployment's commit states as its version.
    pub fn version_of(&self, path: &DeploymentPath) -> Option<String> {
        stated_version(&self.repo.load_commit(&path.checksum).ok()?)
    }

    /// Tells other programs that the deployments have changed: they watch the time of `ostree/deploy`.
    pub(crate) fn touch(&self) -> Result<()> {
        let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
        let times = Timestamps { last_access: now, last_modification: now };
        rustix::fs::utimensat(self.root(), "ostree/deploy", &times, AtFlags::empty())
            .context("Touching ostree/deploy")
    }

    /// The origin of a deployment. One that is missing or cannot be read is empty: it says where upgrades come
    /// from, and must not be in the way of looking at a system and repairing it.
    fn read_origin(&self, path: &DeploymentPath) -> Origin {
        let path = format!("{path}.origin");
        let read = || -> Result<Origin> {
            let text = prepare_root::open::read_text(self.root(), &path, &Calls::ALL)?;
            Ok(Origin(Keyfile::parse(&text.unwrap_or_default())?))
        };
        read().unwrap_or_else(|error| {
            log::warn!("/{path}: {error:#}; it counts as empty, write it anew or remove it");
            Origin::default()
        })
    }
}

/// The version that a commit states; one that is no text is none.
pub(crate) fn stated_version(commit: &Commit) -> Option<String> {
    let version = commit.lookup("version").ok()??;
    version.view().ok()?.as_str().ok().map(str::to_owned)
}

/// Whether the running system was booted from the root at `path`. What is not there is for others to tell.
fn is_of_running_system(path: &Path) -> Result<bool> {
    let Some((device, _)) = running_deployment()? else { return Ok(false) };
    let here = rustix::fs::stat(path.join("ostree/deploy"));
    Ok(here.is_ok_and(|here| here.st_dev == device))
}

/// Device and inode of the directory that the running system was booted from.
pub(crate) fn running_deployment() -> Result<Option<(u64, u64)>> {
    let bytes = match std::fs::read(RUN_STATE) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("Reading {RUN_STATE}")),
    };
    let state = RunState::parse(&bytes).with_context(|| format!("Reading {RUN_STATE}"))?;
    match state.backing_root {
        Some(identity) => Ok(Some(identity)),
        // Only a marker, by an initramfs program that knows no more: then the deployment is the root itself.
        None => {
            let root = rustix::fs::stat("/").context("Reading /")?;
            Ok(Some((root.st_dev, root.st_ino)))
        }
    }
}
