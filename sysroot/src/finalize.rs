// SPDX-License-Identifier: MIT OR Apache-2.0
//! The second half of a staged deployment, at shutdown, and what the next boot says of it.
//!
//! ```text
//! record    the attempt is counted, and the volatile one removed
//! /etc      the local changes, as they are now that nothing runs any more
//! switch    the boot entries (see the crate `bootloader`), cleanup without objects
//! ```
//!
//! A failure leaves the old system as the default, and its reason in `/boot/ostree/finalize-failure.stamp`, where
//! [`Sysroot::finalize_failure`] finds it. [`Sysroot::boot_good`] ends the story: the switch is proven, what was there
//! before it is swept.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Result, ensure};
use bootloader::{LoaderLink, Settings};
use fn_error_context::context;
use formats::bootlink::DeploymentPath;
use formats::kernel_args::KernelArgs;
use formats::staged::Staged;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::cleanup::Cleaned;
use crate::deploy::{Deployed, set_immutable};
use crate::entries::{Item, NewDeployment};
use crate::etc::{Merged, Moment};
use crate::init::make_dir;
use crate::journal;
use crate::load::Loaded;
use crate::lock::Lock;
use crate::retention::{self, Retention};
use crate::sysroot::Sysroot;
use crate::{backing, cleanup, directory, etc, labels, preflight, staged, var};

/// Below `/boot/ostree`: why the last finalization failed.
const STAMP: &str = "finalize-failure.stamp";

/// What became of the staged deployment.
#[derive(Debug)]
pub enum Finalized {
    /// There was none.
    NothingStaged,
    /// It stays as it is, for it is locked.
    Locked(DeploymentPath),
    /// It is booted next.
    Done(Box<Deployed>),
}

/// What a good boot has brought to its end.
#[derive(Debug)]
pub struct BootGood {
    /// Paths that are gone, from the root.
    pub swept: Vec<String>,
    /// Why the switch could not be proven, if so: then nothing of the old entries is gone.
    pub unproven: Option<String>,
    /// Deployments that are gone.
    pub cleaned: Cleaned,
}

impl Sysroot {
    /// Switches to the staged deployment. A failure is also written down for the next boot; success removes what
    /// an earlier failure has left. `on_wait` is called if another process holds the lock.
    pub fn finalize_staged(&self, on_wait: impl FnOnce()) -> Result<Finalized> {
        let done = self.finalize(on_wait);
        let stamp = match &done {
            Ok(Finalized::Done(_)) => self.remove_stamp(),
            Ok(Finalized::NothingStaged | Finalized::Locked(_)) => Ok(()),
            Err(error) => {
                // The reason may be that nothing is free.
                self.release_reserve();
                self.write_stamp(&format!("{error:#}"))
            }
        };
        if let Err(error) = stamp {
            log::warn!("{error:#}");
        }
        done
    }

    #[context("Finalizing staged deployment")]
    fn finalize(&self, on_wait: impl FnOnce()) -> Result<Finalized> {
        let Some(record) = staged::read()? else { return Ok(Finalized::NothingStaged) };
        if record.locked {
            return Ok(Finalized::Locked(record.target.path));
        }
        let lock = self.lock(on_wait)?;
        let loaded = self.load()?;
        self.count_attempt(&record);
        staged::remove()?;
        loaded.boot.check()?;
        ensure!(loaded.boot.loader != LoaderLink::Missing, "There is no /boot/loader; is /boot mounted?");

        let path = &record.target.path;
        journal::finalizing(path);
        let tree =
            directory::open(self.root(), &path.to_string()).context("The staged deployment is gone")?;
        let merge = merge_deployment(&loaded, &record);
        let merged = merge.as_ref().map(|merge| merge_etc(self, merge, tree.as_fd())).transpose()?;
        preflight::check(tree.as_fd())?;
        let stateroot = directory::open(self.root(), &format!("ostree/deploy/{}", path.stateroot))?;
        let stale_policy = labels::refresh(self, path, tree.as_fd())?;
        labels::label_merged(tree.as_fd(), Some(stateroot.as_fd()));
        var::mark_outdated(stateroot.as_fd())?;
        backing::create(self, path)?;
        let conflicts = merged.as_ref().map(|merged| merged.conflicts.clone()).unwrap_or_default();
        // The update is not given up for want of a note.
        etc::write_down(self, path, &conflicts).unwrap_or_else(|error| log::warn!("{error:#}"));
        set_immutable(tree.as_fd(), true)?;

        let new = self.new_deployment(&loaded, &record, merge);
        let all = &loaded.deployments;
        let anchor = retention::merge_deployment(all, &path.stateroot);
        let keep = Retention::of_words(&record.retain);
        let list = retention::arrange(all, &path.stateroot, anchor, keep, !record.not_as_default);
        let item = |item: &Option<usize>| item.map_or_else(|| Item::New(Box::new(new.clone())), Item::old);
        let items: Vec<Item> = list.iter().map(item).collect();
        let menu = self.plan_menu(&loaded, &items, false, self.boot_settings(&loaded)?)?;
        let switched = self.switch_menu(&lock, &loaded, &menu)?;
        Ok(Finalized::Done(Box::new(Deployed {
            etc: merged.map(|merged| merged.counts),
            conflicts,
            stale_policy,
            of_running: false,
            switched,
        })))
    }

    fn new_deployment(
        &self,
        loaded: &Loaded,
        record: &Staged,
        merge: Option<DeploymentPath>,
    ) -> NewDeployment {
        let path = record.target.path.clone();
        let inherited = || loaded.deployments.iter().find(|d| Some(&d.path) == merge.as_ref());
        let kernel_args = match &record.kernel_args {
            Some(args) => KernelArgs::parse(&args.join(" ")),
            None => inherited().map(|d| d.kernel_args()).unwrap_or_default(),
        };
        NewDeployment {
            version: self.version_of(&path),
            path,
            merge,
            kernel_args,
            boot_checksum: Some(record.target.boot_checksum),
            overlay_initrds: record.overlay_initrds.clone(),
            initrd_files: Vec::new(),
            extra: record.extra.clone(),
        }
    }

    /// Why the last finalization failed, if it did and nobody has told it yet.
    #[context("Looking for a failed finalization")]
    pub fn finalize_failure(&self) -> Result<Option<String>> {
        let Some(dir) = self.stamp_dir()? else { return Ok(None) };
        let file = match rustix::fs::openat(&dir, STAMP, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut std::fs::File::from(file), &mut text)?;
        Ok(Some(String::from_utf8_lossy(&text).into_owned()))
    }

    /// It was told.
    pub fn forget_finalize_failure(&self) -> Result<()> {
        self.remove_stamp()
    }

    /// Whether [`boot_good`](Self::boot_good) would have anything to do.
    pub fn is_settled(&self) -> Result<bool> {
        let loaded = self.load()?;
        let settings = self.boot_settings(&loaded)?;
        Ok(!has_leftovers(&loaded, &settings) && self.unneeded_deployments(&loaded, &settings)?.is_empty())
    }

    /// After a good boot: proves the switch that led to it, and removes what was kept in case it had not.
    #[context("Finishing the boot")]
    pub fn boot_good(&self, lock: &Lock) -> Result<BootGood> {
        let loaded = self.load()?;
        cleanup::check_whole(&loaded)?;
        let settings = self.boot_settings(&loaded)?;
        let mut good = BootGood { swept: Vec::new(), unproven: None, cleaned: Cleaned::default() };
        // Nobody freezes a file system for nothing.
        if has_leftovers(&loaded, &settings) {
            let (proof, swept) = bootloader::sweep(self.places(), &settings)?;
            if let durable::Proof::Unproven(reason) = proof {
                good.unproven = Some(reason.to_string());
            }
            good.swept = swept.removed;
        }
        good.cleaned = self.clean_up(lock, &settings, false)?;
        Ok(good)
    }

    #[context("Writing /boot/ostree/{STAMP}")]
    fn write_stamp(&self, text: &str) -> Result<()> {
        make_dir(self.places().boot, "ostree", 0o755)?;
        let dir = self.stamp_dir()?.context("It is gone again")?;
        durable::replace(dir.as_fd(), STAMP, text.as_bytes(), Mode::from_raw_mode(0o644))
    }

    #[context("Removing /boot/ostree/{STAMP}")]
    fn remove_stamp(&self) -> Result<()> {
        let Some(dir) = self.stamp_dir()? else { return Ok(()) };
        match rustix::fs::unlinkat(&dir, STAMP, AtFlags::empty()) {
            Ok(()) => durable::sync_dir(dir.as_fd()),
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn stamp_dir(&self) -> Result<Option<OwnedFd>> {
        directory::find(self.places().boot, "ostree")
    }
}

/// Whether the last switch has not come to its end.
fn has_leftovers(loaded: &Loaded, settings: &Settings) -> bool {
    loaded.boot.record.is_some() || !bootloader::leftovers(&loaded.boot, settings).is_empty()
}

fn merge_etc(sysroot: &Sysroot, merge: &DeploymentPath, tree: BorrowedFd<'_>) -> Result<Merged> {
    let old = directory::open(sysroot.root(), &merge.to_string())?;
    etc::merge(old.as_fd(), tree, Moment::Shutdown)
}

/// The deployment that the record names. If that is gone, the one that a new deployment would take over from now.
fn merge_deployment(loaded: &Loaded, record: &Staged) -> Option<DeploymentPath> {
    let merge = record.merge.as_ref()?;
    let all = &loaded.deployments;
    if all.iter().any(|d| d.path == merge.path) {
        return Some(merge.path.clone());
    }
    let now = retention::merge_deployment(all, &record.target.path.stateroot);
    let now = now.and_then(|index| all.get(index)).map(|d| d.path.clone());
    log::warn!("{} is gone; taking the configuration of {now:?}", merge.path);
    now
}
