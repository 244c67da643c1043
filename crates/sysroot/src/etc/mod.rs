// SPDX-License-Identifier: MIT OR Apache-2.0
//! Local changes of `/etc`, and the record of where they and an update have met.

pub mod conflicts;
mod left_behind;

use std::os::fd::AsFd;

use anyhow::{Result, bail};
use etc_merge::Changes;

pub use conflicts::{EtcConflict, Side};

use crate::sysroot::Sysroot;
use crate::which::Which;
use crate::{directory, retention};

impl Sysroot {
    /// Lists the local changes in the `/etc` of the running system, or of the deployment of `stateroot` whose
    /// configuration a new one would take over.
    ///
    /// # Errors
    ///
    /// There is no such deployment, or its `/etc` cannot be read.
    pub fn etc_changes(&self, stateroot: Option<&str>) -> Result<Changes> {
        let loaded = self.load()?;
        let all = &loaded.deployments;
        let index = match stateroot {
            Some(stateroot) => retention::merge_deployment(all, stateroot),
            None => loaded.find(Which::Booted),
        };
        let Some(deployment) = index.and_then(|index| all.get(index)) else {
            match stateroot {
                Some(name) => bail!("No deployments for stateroot '{name}'"),
                None => bail!("Not currently booted into an OSTree system; name a stateroot with --os="),
            }
        };
        let tree = directory::open(self.root(), &deployment.path.to_string())?;
        let (defaults, current) = (directory::open(&tree, "usr/etc")?, directory::open(&tree, "etc")?);
        Changes::between(defaults.as_fd(), current.as_fd())
    }
}
