// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `status` must not keep to itself: where the boot menu is not what the list of deployments makes one think.

use bootloader::LoaderLink;

use crate::sysroot::Loaded;

impl Loaded {
    /// What deserves a look, a line each, with what to do about it.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        match &self.boot.loader {
            LoaderLink::Missing | LoaderLink::Version(_) => {}
            LoaderLink::Dangling(version) => {
                notes.push(format!("/boot/loader leads to loader.{version}, which is not there: nothing can be booted"));
            }
            LoaderLink::Directory => notes.push(
                "/boot/loader is a directory, left by another installation: what is deployed is not in the boot menu"
                    .to_owned(),
            ),
            LoaderLink::Other(what) => {
                notes.push(format!("/boot/loader is {what:?} and no link to loader.0 or loader.1: remove it"));
            }
        }
        for bad in &self.boot.unreadable {
            notes.push(format!("/boot/{} {}: repair or remove it", bad.path, bad.reason));
        }
        for entry in self.boot.entries.iter().filter(|entry| !self.has(entry.deployment.as_ref())) {
            notes.push(format!("boot entry {} ({}) leads to no deployment", entry.name, entry.bootlink));
        }
        if self.boot.record.is_some() {
            notes.push(
                "the last change of the boot menu is not proven to be on the disk: until the next reboot a boot loader \
                 may still show the former one"
                    .to_owned(),
            );
        }
        notes
    }

    fn has(&self, path: Option<&formats::bootlink::DeploymentPath>) -> bool {
        path.is_some_and(|path| self.deployments.iter().any(|d| d.path == *path))
    }
}
