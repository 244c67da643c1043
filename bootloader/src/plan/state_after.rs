// SPDX-License-Identifier: MIT OR Apache-2.0
//! The state that a plan will leave, for planning the one that follows it.

use formats::bls::Entry;
use formats::kernel_args::KernelArgs;

use super::switch::{Change, SwitchPlan};
use crate::state::{BootState, LoaderLink, PresentEntry, deployment_of};

impl SwitchPlan {
    /// Gives the state once this plan is carried out and swept.
    pub fn state_after(&self, state: &BootState) -> BootState {
        let mut after = state.clone();
        if self.change == Change::Nothing {
            return after;
        }
        let version = self.to.boot_version;
        after.loader = LoaderLink::Version(version);
        if let Some(chosen) = after.sub_boot_versions.get_mut(usize::from(version)) {
            *chosen = Some(self.to.sub_boot_version);
        }
        after.bootlinks = self.links.iter().map(|link| (link.path.clone(), link.target.clone())).collect();
        if self.change == Change::Entries {
            after.entries =
                self.entries.iter().filter_map(|file| self.present(&file.path, &file.text)).collect();
            after.loader_names = vec![self.to.loader_dir()];
            after.needs_block_format = false;
        }
        after.unfinished = None;
        after.stale_temps.clear();
        after.prestaged.clear();
        after.record = None;
        after.bootlink_names.extend([self.to.link(), self.to.links_dir()]);
        after
            .bootlink_names
            .retain(|name| self.change != Change::Bootlinks || *name != self.from.links_dir());
        for path in &self.sweep {
            after.bootlink_names.retain(|name| path.strip_prefix("/ostree/") != Some(name));
            let Some(below) = path.strip_prefix("/boot/ostree/") else { continue };
            match below.split_once('/') {
                Some((dir, file)) => drop(after.boot_dirs.get_mut(dir).and_then(|files| files.remove(file))),
                None => drop(after.boot_dirs.remove(below)),
            }
        }
        after.bootlink_names.sort();
        after.bootlink_names.dedup();
        after
    }

    fn present(&self, path: &str, text: &str) -> Option<PresentEntry> {
        let entry = Entry::parse(text).ok()?;
        let bootlink: formats::bootlink::Bootlink =
            KernelArgs::parse(&entry.options()).first("ostree")??.parse().ok()?;
        let link = self.links.iter().find(|link| bootlink.to_string().ends_with(&format!("/{}", link.path)));
        let deployment = link.and_then(|link| deployment_of(&link.target));
        let name = path.strip_prefix("entries/")?.parse().ok()?;
        Some(PresentEntry { name, entry, bootlink, deployment, also: Vec::new() })
    }
}
