// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is kept of a staged deployment where a power cut does not reach it: `/ostree/staged-deployment`.
//!
//! ```text
//! stage      written last, when all of the deployment is on the disk
//! shutdown   the attempt is counted first; removed when the switch is made
//! boot       if it is there: does it still fit? Then it is staged again, else it is given up
//! ```
//!
//! It fits if nobody has changed the deployments since. Whoever does sets the time of `ostree/deploy`, the C tools too; what
//! we change without giving it up writes it anew.

use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use bootloader::KernelFiles;
use durable::fault;
use fn_error_context::context;
use formats::bootlink::DeploymentPath;
use formats::staged::{Kept, Staged};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::deploy::{FINALIZE_SERVICE, set_immutable};
use crate::load::Loaded;
use crate::lock::Lock;
use crate::sysroot::Sysroot;
use crate::{directory, etc, labels, preflight, staged};

/// Below the physical root.
pub(crate) const PATH: &str = "/ostree/staged-deployment";

/// Below `ostree`.
const NAME: &str = "staged-deployment";

/// What a boot has made of an update that was not finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TakenUp {
    /// There is none.
    Nothing,
    /// It is staged again, and shutdown will finalize it.
    Staged {
        /// The deployment.
        path: DeploymentPath,
        /// Which attempt the next shutdown makes, from 1.
        attempt: u32,
        /// How many there are.
        of: u32,
    },
    /// It is given up.
    GivenUp {
        /// The deployment.
        path: DeploymentPath,
        /// Why.
        why: String,
        /// Whether it failed, and nobody has wanted it so.
        failed: bool,
    },
}

impl Sysroot {
    /// Whether an update is kept on the disk that nobody has taken up in this boot.
    pub fn is_update_left(&self) -> Result<bool> {
        let here = rustix::fs::statat(self.ostree()?, NAME, AtFlags::SYMLINK_NOFOLLOW).is_ok();
        Ok(here && !staged::is_anything_staged()?)
    }

    /// Reads it.
    #[context("Reading {PATH}")]
    pub(crate) fn kept(&self) -> Result<Option<Kept>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = match rustix::fs::openat(self.ostree()?, NAME, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::fs::File::from(file), &mut bytes)?;
        Ok(Some(Kept::parse(&bytes)?))
    }

    /// Stages a deployment: the record is written, and kept on the disk.
    pub(crate) fn write_staged(&self, staged: &Staged, menu: Vec<DeploymentPath>) -> Result<()> {
        staged::write(staged)?;
        self.set_time()?;
        self.keep(&Kept { staged: staged.clone(), attempts: 0, changed: self.changed()?, deployments: menu })
    }

    /// The deployment is not staged any more.
    pub(crate) fn remove_staged(&self) -> Result<()> {
        let removed = staged::remove();
        self.forget_kept()?;
        removed
    }

    /// Counts an attempt to finalize it. Without room for that the attempt is made all the same.
    pub(crate) fn count_attempt(&self, staged: &Staged) {
        let counted = self.kept().and_then(|kept| match kept {
            Some(kept) if kept.staged.target == staged.target => {
                self.keep(&Kept { attempts: kept.attempts.saturating_add(1), ..kept })
            }
            _ => Ok(()),
        });
        if let Err(error) = counted {
            log::warn!("{error:#}");
        }
    }

    /// It is finished, or not wanted any more.
    #[context("Removing {PATH}")]
    pub(crate) fn forget_kept(&self) -> Result<()> {
        let ostree = self.ostree()?;
        match rustix::fs::unlinkat(&ostree, NAME, AtFlags::empty()) {
            Ok(()) => durable::sync_dir(ostree.as_fd()),
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Tells other programs that the deployments have changed, and that what is kept is still true. `menu` is the new boot
    /// menu, if there is one.
    pub(crate) fn touch_staged(&self, menu: Option<Vec<DeploymentPath>>) -> Result<()> {
        let before = self.changed()?;
        let kept = self.kept().unwrap_or_default().filter(|kept| kept.changed == before);
        self.set_time()?;
        let Some(kept) = kept else { return Ok(()) };
        let deployments = menu.unwrap_or_else(|| kept.deployments.clone());
        let written = self.keep(&Kept { changed: self.changed()?, deployments, ..kept });
        if let Err(error) = written {
            log::warn!("{error:#}; a power cut would make the system forget what is staged");
            self.forget_kept()?;
        }
        Ok(())
    }

    /// Stages the update again that was not finished, if it still fits; else gives it up. To be called once in a boot.
    #[context("Taking up the update that was not finished")]
    pub fn take_up(&self, _lock: &Lock) -> Result<TakenUp> {
        if !self.is_update_left()? {
            return Ok(TakenUp::Nothing);
        }
        let loaded = self.look()?;
        let kept = match self.kept() {
            Ok(Some(kept)) => kept,
            Ok(None) => return Ok(TakenUp::Nothing),
            Err(error) => {
                self.forget_kept()?;
                return Err(error.context("It is given up; stage it again"));
            }
        };
        let path = kept.staged.target.path.clone();
        if loaded.deployments.iter().any(|d| d.path == path) {
            // Only its end was missing.
            return self.forget_kept().map(|()| TakenUp::Nothing);
        }
        let of = self.boot_config()?.finalize_attempts;
        let given_up = |why: String, failed| -> Result<TakenUp> {
            self.forget_kept()?;
            Ok(TakenUp::GivenUp { path: path.clone(), why, failed })
        };
        if kept.attempts >= of {
            return given_up(format!("{} of {of} attempts have failed", kept.attempts), true);
        }
        if let Some(why) = self.does_not_fit(&loaded, &kept)? {
            return given_up(why.to_owned(), false);
        }
        if let Err(error) = self.make_whole(&kept) {
            return given_up(format!("{error:#}"), true);
        }
        fault::point("take-up");
        // What is kept stays true, for nothing on the disk changes: were the time of the deployments set here, a cut before it is
        // written anew would make it false.
        staged::write(&kept.staged)?;
        start_service_later()?;
        Ok(TakenUp::Staged { path, attempt: kept.attempts + 1, of })
    }

    /// Why what is kept is not true any more.
    fn does_not_fit(&self, loaded: &Loaded, kept: &Kept) -> Result<Option<&'static str>> {
        let booted = loaded.booted().and_then(|index| loaded.deployments.get(index));
        let Some(booted) = booted else { return Ok(Some("what runs is not in the boot menu")) };
        if kept.staged.merge.as_ref().is_some_and(|merge| merge.path != booted.path) {
            return Ok(Some("another deployment runs than the one that it was made from"));
        }
        let same = kept.deployments == loaded.menu() && self.is_true(kept);
        Ok((!same).then_some("the deployments were changed after it was staged"))
    }

    /// Whether the tree is whole. An `/etc` that an attempt has begun to merge is made anew.
    #[context("Looking at {}", kept.staged.target.path)]
    fn make_whole(&self, kept: &Kept) -> Result<()> {
        let target = &kept.staged.target;
        let tree = directory::open(self.root(), &target.path.to_string())?;
        self.repo().load_commit(&target.path.checksum)?;
        if kept.attempts > 0 {
            set_immutable(tree.as_fd(), false)?;
            durable::remove_tree(tree.as_fd(), "etc")?;
            etc::create(tree.as_fd(), labels::as_far_as_possible(tree.as_fd()).as_ref())?;
        }
        preflight::check(tree.as_fd())?;
        let found = KernelFiles::find(tree.as_fd())?.boot_checksum(tree.as_fd())?;
        ensure!(found == target.boot_checksum, "Its boot files are damaged");
        if kept.attempts > 0 { durable::sync_fs(self.root()) } else { Ok(()) }
    }

    #[context("Writing {PATH}")]
    fn keep(&self, kept: &Kept) -> Result<()> {
        let ostree = self.ostree()?;
        // The time that it speaks of must not be older than it after a cut.
        durable::sync_dir(directory::open(&ostree, "deploy")?.as_fd())?;
        durable::replace(ostree.as_fd(), NAME, &kept.to_bytes(), Mode::from_raw_mode(0o644))?;
        fault::point("kept");
        Ok(())
    }

    /// When the deployments were changed.
    #[context("Asking when ostree/deploy was changed")]
    fn changed(&self) -> Result<(u64, u32)> {
        let stat = rustix::fs::statat(self.root(), "ostree/deploy", AtFlags::empty())?;
        Ok((u64::try_from(stat.st_mtime).unwrap_or(0), u32::try_from(stat.st_mtime_nsec).unwrap_or(0)))
    }

    /// Whether nobody has changed the deployments since it was written.
    pub(crate) fn is_true(&self, kept: &Kept) -> bool {
        self.changed().is_ok_and(|changed| changed == kept.changed)
    }

    fn ostree(&self) -> Result<OwnedFd> {
        directory::open(self.root(), "ostree")
    }
}

/// As when it is staged, but we are a part of the boot ourselves: who waited here would wait for ever.
#[context("Starting {FINALIZE_SERVICE}, which applies the update at shutdown")]
fn start_service_later() -> Result<()> {
    let status = Command::new("systemctl")
        .args(["start", "--no-block", FINALIZE_SERVICE])
        .status()
        .context("Running systemctl")?;
    ensure!(status.success(), "systemctl: {status}; see `systemctl status {FINALIZE_SERVICE}`");
    Ok(())
}
