// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether a switch can begin from what is there.

use std::collections::BTreeMap;

use formats::bootlink::DeploymentPath;

use super::error::PlanError;
use crate::slot::Slot;
use crate::state::{BootState, LoaderLink, PresentEntry, deployment_of};

impl BootState {
    /// Whether a switch can be planned at all.
    pub fn check(&self) -> Result<(), PlanError> {
        if !self.has_ostree {
            return Err(PlanError::NoOstree);
        }
        if self.boot_is_fat {
            return Err(PlanError::Fat);
        }
        match &self.loader {
            LoaderLink::Directory => return Err(PlanError::LoaderIsDirectory),
            LoaderLink::Other(target) => return Err(PlanError::LoaderIsOther(target.clone())),
            // A first switch that was interrupted has left its note.
            LoaderLink::Missing
                if self.record.is_none() && self.sub_boot_versions.iter().any(Option::is_some) =>
            {
                return Err(PlanError::NoLoader);
            }
            LoaderLink::Missing | LoaderLink::Version(_) | LoaderLink::Dangling(_) => {}
        }
        if let Some(lost) = self.entries.iter().find(|entry| entry.deployment.is_none()) {
            let (entry, bootlink) = (lost.name.to_string(), lost.bootlink.to_string());
            return Err(PlanError::NoDeployment { entry, bootlink });
        }
        self.check_nothing_is_left_out()?;
        match self.unreadable.first() {
            Some(bad) => Err(PlanError::Unreadable { path: bad.path.clone(), reason: bad.reason.clone() }),
            None => Ok(()),
        }
    }

    /// Whether somebody has edited an entry so that it leads elsewhere than its own deployment: a new menu has those alone that an
    /// entry leads to, and all others are removed. Two entries for one deployment are nothing of the kind by themselves: tools
    /// that change an entry in place leave the one that older C tools have written under another name.
    fn check_nothing_is_left_out(&self) -> Result<(), PlanError> {
        let mut listed: BTreeMap<&DeploymentPath, &PresentEntry> = BTreeMap::new();
        let mut twice = None;
        for (path, entry) in self.entries.iter().filter_map(|e| Some((e.deployment.as_ref()?, e))) {
            twice = twice.or(listed.insert(path, entry).map(|first| (first, entry)));
        }
        for (entry, path) in self.entries.iter().flat_map(|e| e.also.iter().map(move |path| (e, path))) {
            if !listed.contains_key(path) {
                let (entry, deployment) = (entry.name.to_string(), path.to_string());
                return Err(PlanError::Behind { entry, deployment });
            }
        }
        let linked = self.bootlinks.values().filter_map(|target| deployment_of(target));
        match twice.zip({ linked }.find(|path| !listed.contains_key(path))) {
            Some(((first, second), left_out)) => Err(PlanError::Twice {
                entries: (first.name.to_string(), second.name.to_string()),
                deployment: left_out.to_string(),
            }),
            None => Ok(()),
        }
    }

    /// The chosen slot.
    pub fn slot(&self) -> Slot {
        Slot { boot_version: self.boot_version(), sub_boot_version: self.sub_boot_version() }
    }
}
