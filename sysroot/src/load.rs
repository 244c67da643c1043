// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading what is deployed: the boot entries, the record of the staged deployment, and what runs.
//!
//! What is damaged is told and is in nobody's way as long as nothing is to be changed.

use std::os::fd::AsFd;

use anyhow::{Context, Result};
use bootloader::{BootState, KernelFiles};
use fn_error_context::context;
use formats::Checksum;
use formats::bls::Entry;
use formats::bootlink::DeploymentPath;
use formats::keyfile::Keyfile;
use formats::run_state::RunState;
use formats::staged::{Kept, Staged};
use prepare_root::calls::Calls;
use rustix::fs::AtFlags;
use rustix::io::Errno;

use crate::deploy::running_arguments;
use crate::deployment::{Deployment, Origin};
use crate::switch::running_bootlink;
use crate::sysroot::Sysroot;
use crate::{directory, staged};

/// Where the running system says that it was booted through ostree, and from which deployment.
const RUN_STATE: &str = "/run/ostree-booted";

/// What is deployed in a sysroot at one moment.
#[derive(Debug)]
pub struct Loaded {
    /// In the order of the boot menu: the first one is booted next. A staged one is in front of them; a running one that
    /// has no entry is behind them.
    pub deployments: Vec<Deployment>,
    /// What the boot menu and the links say.
    pub boot: BootState,
    /// Whether the running system was booted from this sysroot, be its deployment in the menu or not.
    pub is_running_system: bool,
    /// The record of the staged deployment, which is the first in the list then.
    pub staged: Option<Staged>,
    /// What is kept of an update that is not finished, where a power cut does not reach it.
    pub(crate) kept: Option<Kept>,
    /// Why there is a record of a staged deployment, and none in the list.
    pub staged_problem: Option<String>,
}

impl Loaded {
    /// The place of the running system in the list.
    pub fn booted(&self) -> Option<usize> {
        self.deployments.iter().position(|d| d.booted)
    }

    /// Names in `/boot/ostree` of what the staged deployment has brought there already.
    pub(crate) fn awaited(&self) -> Vec<String> {
        let kept = self.kept.as_ref().map(|kept| &kept.staged);
        let Some(record) = self.staged.as_ref().or(kept) else { return Vec::new() };
        let own = format!("{}-{}", record.target.path.stateroot, record.target.boot_checksum);
        let more = record.overlay_initrds.iter().map(|checksum| format!("{checksum}.img"));
        std::iter::once(own).chain(more).collect()
    }

    /// The boot menu.
    pub(crate) fn menu(&self) -> Vec<DeploymentPath> {
        let listed = self.deployments.iter().filter(|d| !d.staged && !d.unlisted);
        listed.map(|d| d.path.clone()).collect()
    }

    /// How many deployments are in the boot menu.
    pub(crate) fn menu_len(&self) -> usize {
        self.deployments.iter().filter(|d| !d.staged && !d.unlisted).count()
    }
}

impl Sysroot {
    /// Reads what is deployed, to change it: says what is unusable of it.
    pub fn load(&self) -> Result<Loaded> {
        let loaded = self.look()?;
        if let Some(problem) = &loaded.staged_problem {
            log::warn!(
                "What is staged cannot be used, and shutdown changes nothing; stage it again: {problem}"
            );
        }
        Ok(loaded)
    }

    /// Reads what is deployed, for who tells himself what is unusable.
    #[context("Loading sysroot {}", self.path().display())]
    pub fn look(&self) -> Result<Loaded> {
        let boot = BootState::read(self.places())?;
        let running = running_deployment()?;
        let mut deployments = Vec::new();
        for present in &boot.entries {
            // An entry whose link leads nowhere is shown by the boot loader's own tools; it is no deployment.
            let Some(path) = present.deployment.clone() else { continue };
            // Two entries of one deployment: 2022.7 edits kernel arguments in a file beside ours. The first one counts, which
            // is also what a boot loader starts; the next change of the menu leaves one of them.
            if deployments.iter().any(|d: &Deployment| d.path == path) {
                continue;
            }
            let Some(identity) = self.identity(&path)? else { continue };
            deployments.push(Deployment {
                booted: running == Some(identity),
                ..self.deployment(path, present.bootlink.boot_checksum, present.entry.clone())
            });
        }
        let here = rustix::fs::statat(self.root(), "ostree/deploy", AtFlags::empty())
            .context("Reading ostree/deploy")?;
        let running = running.filter(|(device, _)| *device == here.st_dev);
        if let Some(running) = running
            && !deployments.iter().any(|d| d.booted)
        {
            deployments.extend(self.find_unlisted(running).unwrap_or_else(|error| {
                log::warn!("The running system is not in the boot menu: {error:#}");
                None
            }));
        }
        let is_running_system = running.is_some();
        // What cannot be read of it, or is not true any more, is told by the boot that would take it up.
        let kept = self.kept().unwrap_or_default().filter(|kept| self.is_true(kept));
        let mut loaded =
            Loaded { deployments, boot, is_running_system, staged: None, kept, staged_problem: None };
        if is_running_system {
            self.load_staged(&mut loaded);
        }
        Ok(loaded)
    }

    pub(crate) fn deployment(
        &self,
        path: DeploymentPath,
        boot_checksum: Checksum,
        entry: Entry,
    ) -> Deployment {
        let (origin, origin_problem) = match self.read_origin(&path) {
            Ok(origin) => (origin, None),
            Err(error) => {
                let problem = format!("{error:#}");
                log::warn!(
                    "/{path}.origin: {problem}; write it anew or remove it, and until then the deployment is kept"
                );
                (Origin::default(), Some(problem))
            }
        };
        let (booted, staged, unlisted) = (false, false, false);
        Deployment { path, boot_checksum, entry, origin, origin_problem, booted, staged, unlisted }
    }

    /// Device and inode of a deployment's directory; `None` where there is none.
    fn identity(&self, path: &DeploymentPath) -> Result<Option<(u64, u64)>> {
        match rustix::fs::statat(self.root(), path.to_string(), AtFlags::empty()) {
            Ok(stat) => Ok(Some((stat.st_dev, stat.st_ino))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("Reading {path}")),
        }
    }

    /// The running system's deployment where no entry leads to it: somebody has edited the entries, or they are those of
    /// another time. It is what works, so the next menu has it again, with the arguments that it was started with.
    fn find_unlisted(&self, running: (u64, u64)) -> Result<Option<Deployment>> {
        for path in self.deployments_on_disk()? {
            if self.identity(&path)? != Some(running) {
                continue;
            }
            let boot_checksum = match running_bootlink() {
                Some(link) => link.boot_checksum,
                None => {
                    let tree = directory::open(self.root(), &path.to_string())?;
                    KernelFiles::find(tree.as_fd())?.boot_checksum(tree.as_fd())?
                }
            };
            let mut entry = Entry::default();
            entry.push("options", &running_arguments()?.to_string());
            let found = self.deployment(path, boot_checksum, entry);
            return Ok(Some(Deployment { booted: true, unlisted: true, ..found }));
        }
        Ok(None)
    }

    /// Puts the staged deployment in front. A record that cannot be read, or that names what is gone, must not stop
    /// anything else.
    fn load_staged(&self, loaded: &mut Loaded) {
        let record = match staged::read() {
            Ok(Some(record)) => record,
            Ok(None) => return,
            Err(error) => {
                loaded.staged_problem = Some(format!("{error:#}"));
                return;
            }
        };
        let path = record.target.path.clone();
        if !matches!(self.identity(&path), Ok(Some(_))) {
            loaded.staged_problem = Some(format!("The staged deployment {path} is gone"));
            return;
        }
        let entry = staged::entry(&record, &loaded.deployments);
        let found = self.deployment(path, record.target.boot_checksum, entry);
        loaded.deployments.insert(0, Deployment { staged: true, ..found });
        loaded.staged = Some(record);
    }

    /// The origin of a deployment, empty where it is missing: it says where upgrades come from, and must not be in the way
    /// of looking at a system and repairing it.
    fn read_origin(&self, path: &DeploymentPath) -> Result<Origin> {
        let text = prepare_root::open::read_text(self.root(), &format!("{path}.origin"), &Calls::ALL)?;
        Ok(Origin(Keyfile::parse(&text.unwrap_or_default())?))
    }
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
