// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading what is deployed: the boot entries, the record of the staged deployment, and what runs.
//!
//! Damaged parts are told, and stop nothing as long as nothing is to be changed.

use std::os::fd::AsFd;

use anyhow::{Context, Result};
use bootloader::BootState;
use fn_error_context::context;
use formats::Checksum;
use formats::bls::Entry;
use formats::bootlink::DeploymentPath;
use formats::keyfile::Keyfile;
use formats::staged::{Kept, Staged};
use prepare_root::calls::Calls;

use crate::denied::{is_denied, known};
use crate::deployment::{Deployment, Origin};
use crate::running::{identity, running_arguments, running_bootlink, running_deployment, running_here};
use crate::sysroot::Sysroot;
use crate::{directory, staged};

/// The unknown fact where the record of the staged deployment may not be read.
pub(crate) const STAGED: &str = "whether something is staged";

/// The deployments of a sysroot at one moment.
#[derive(Debug)]
pub struct Loaded {
    /// In the order of the boot menu: the first one is booted next. A staged one is in front of them; a running one that
    /// has no entry is behind them.
    pub deployments: Vec<Deployment>,
    /// The state of the boot menu and the links.
    pub boot: BootState,
    /// Whether the running system was booted from a deployment of this sysroot, in the menu or not.
    pub is_running_system: bool,
    /// The record of the staged deployment, which is the first in the list then.
    pub staged: Option<Staged>,
    /// The record of an update that is not finished, from where a power cut does not reach it.
    pub persistent: Option<Kept>,
    /// Why there is a record of a staged deployment, and none in the list.
    pub staged_problem: Option<String>,
    /// Facts that the caller may not read, so that nothing is claimed of them.
    pub not_known: Vec<String>,
}

impl Loaded {
    /// The place of the running system in the list.
    pub fn booted(&self) -> Option<usize> {
        self.deployments.iter().position(|d| d.booted)
    }

    /// Names in `/boot/ostree` of what the staged deployment has brought there already.
    pub(crate) fn awaited(&self) -> Vec<String> {
        let kept = self.persistent.as_ref().map(|kept| &kept.staged);
        let Some(record) = self.staged.as_ref().or(kept) else { return Vec::new() };
        let own = format!("{}-{}", record.target.path.stateroot, record.target.boot_checksum);
        let more = record.overlay_initrds.iter().map(|checksum| format!("{checksum}.img"));
        std::iter::once(own).chain(more).collect()
    }

    /// Lists the deployments of the boot menu, without a staged or an unlisted one.
    pub fn menu(&self) -> Vec<DeploymentPath> {
        let listed = self.deployments.iter().filter(|d| !d.staged && !d.unlisted);
        listed.map(|d| d.path.clone()).collect()
    }

    /// Counts the deployments in the boot menu.
    pub fn menu_len(&self) -> usize {
        self.deployments.iter().filter(|d| !d.staged && !d.unlisted).count()
    }
}

impl Sysroot {
    /// Reads what is deployed, and warns of an unusable staged deployment.
    ///
    /// # Errors
    ///
    /// The boot entries or the run state cannot be read.
    pub fn load(&self) -> Result<Loaded> {
        let loaded = self.load_lenient()?;
        if let Some(problem) = &loaded.staged_problem {
            log::warn!(
                "What is staged cannot be used, and shutdown changes nothing; stage it again: {problem}"
            );
        }
        Ok(loaded)
    }

    /// Reads what is deployed, and leaves telling of unusable parts to the caller.
    ///
    /// # Errors
    ///
    /// The boot entries or the run state cannot be read.
    pub fn load_lenient(&self) -> Result<Loaded> {
        let boot = BootState::read(self.places());
        self.load_in(boot.with_context(|| format!("Loading sysroot {}", self.path().display()))?)
    }

    /// Reads the rest of what is deployed, for a state of the boot menu that was read already.
    ///
    /// # Errors
    ///
    /// The run state or a deployment cannot be read.
    #[context("Loading sysroot {}", self.path().display())]
    pub fn load_in(&self, boot: BootState) -> Result<Loaded> {
        let running = running_deployment()?;
        let (mut deployments, mut not_known) = (Vec::new(), Vec::new());
        for present in &boot.entries {
            // An entry whose link leads nowhere is shown by the boot loader's own tools; it is no deployment.
            let Some(path) = present.deployment.clone() else { continue };
            // Two entries of one deployment: 2022.7 edits kernel arguments in a file beside ours. The first one counts, which
            // is also what a boot loader starts; the next change of the menu leaves one of them.
            if deployments.iter().any(|d: &Deployment| d.path == path) {
                continue;
            }
            let Some(identity) = identity(self.root(), &path)? else { continue };
            deployments.push(Deployment {
                booted: running == Some(identity),
                ..self.deployment(path, present.bootlink.boot_checksum, present.entry.clone())
            });
        }
        let mut is_running_system = deployments.iter().any(|d| d.booted);
        if running.is_some() && !is_running_system {
            match running_here(self.root()) {
                Ok(None) => {}
                Ok(Some(path)) => {
                    is_running_system = true;
                    match self.unlisted(path) {
                        Ok(found) => deployments.push(found),
                        Err(error) if is_denied(&error) => {
                            not_known.push("how the system was started".to_owned())
                        }
                        Err(error) => {
                            log::warn!("The running system is not in the boot menu: {error:#}");
                        }
                    }
                }
                Err(error) if is_denied(&error) => not_known.push("which deployment is running".to_owned()),
                // A deployment that cannot be looked at may be the running one, and then nothing is removed.
                Err(error) => {
                    is_running_system = true;
                    log::warn!("Whether the running system was booted from here cannot be told: {error:#}");
                }
            }
        }
        // A part that cannot be read, or is not true any more, is told by the boot that would take it up.
        let kept = known(self.persistent_record(), &mut not_known, || {
            "whether an update is kept on the disk".to_owned()
        });
        let persistent = kept.unwrap_or_default().flatten().filter(|kept| self.is_current(kept));
        let (staged, staged_problem) = (None, None);
        let mut loaded =
            Loaded { deployments, boot, is_running_system, staged, persistent, staged_problem, not_known };
        if is_running_system {
            self.load_staged(&mut loaded);
        }
        Ok(loaded)
    }

    /// Describes a deployment with what its origin says; the fields about the running system are unset.
    pub fn deployment(&self, path: DeploymentPath, boot_checksum: Checksum, entry: Entry) -> Deployment {
        let (origin, origin_problem) = match self.read_origin(&path) {
            Ok(origin) => (origin, None),
            Err(error) if is_denied(&error) => (Origin::default(), Some(format!("{error:#}"))),
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

    /// The running system's deployment where no entry leads to it: somebody has edited the entries, or they are those of
    /// another time. It is what works, so the next menu has it again, with the arguments that it was started with.
    fn unlisted(&self, path: DeploymentPath) -> Result<Deployment> {
        let boot_checksum = match running_bootlink() {
            Some(link) => link.boot_checksum,
            None => {
                let tree = directory::open(self.root(), &path.to_string())?;
                self.kernel_files(tree.as_fd())?.boot_checksum(tree.as_fd())?
            }
        };
        let mut entry = Entry::default();
        entry.push("options", &running_arguments()?.to_string());
        let found = self.deployment(path, boot_checksum, entry);
        Ok(Deployment { booted: true, unlisted: true, ..found })
    }

    /// Puts the staged deployment in front. A record that cannot be read, or that names what is gone, must not stop
    /// anything else.
    fn load_staged(&self, loaded: &mut Loaded) {
        let record = match staged::read() {
            Ok(Some(record)) => record,
            Ok(None) => return,
            Err(error) if is_denied(&error) => {
                loaded.not_known.push(STAGED.to_owned());
                return;
            }
            Err(error) => {
                loaded.staged_problem = Some(format!("{error:#}"));
                return;
            }
        };
        let path = record.target.path.clone();
        match identity(self.root(), &path) {
            Ok(Some(_)) => {}
            Err(error) if is_denied(&error) => {
                loaded.not_known.push(STAGED.to_owned());
                return;
            }
            _ => {
                loaded.staged_problem = Some(format!("The staged deployment {path} is gone"));
                return;
            }
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
