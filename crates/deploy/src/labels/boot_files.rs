// SPDX-License-Identifier: MIT OR Apache-2.0
//! The labels of what is copied to `/boot`: each by the policy of the deployment that it belongs to, and by where it comes to.

use std::collections::HashMap;
use std::os::fd::AsFd;

use anyhow::Result;
use bootloader::{CopyFile, SwitchPlan};
use formats::file_contexts::Kind;
use selinux::Labeler;
use sysroot::{Sysroot, directory};

/// Adds the labels to the copies of a switch. No boot loader asks for them, so a policy that cannot be read is told of and no
/// reason to stop.
pub(crate) fn label_copies(sysroot: &Sysroot, switch: &mut SwitchPlan) {
    let mut known: HashMap<String, Option<Labeler>> = HashMap::new();
    for copy in &mut switch.copy {
        let Some(tree) = deployment_of(&copy.from) else { continue };
        let labeler = known.entry(tree.to_owned()).or_insert_with(|| {
            open(sysroot, tree).unwrap_or_else(|error| {
                log::warn!("{error:#}; what is copied to /boot gets no labels");
                None
            })
        });
        copy.label = labeler.as_ref().and_then(|labeler| label(labeler, copy));
    }
}

fn open(sysroot: &Sysroot, tree: &str) -> Result<Option<Labeler>> {
    Labeler::of(directory::open(sysroot.root(), tree)?.as_fd())
}

fn label(labeler: &Labeler, copy: &CopyFile) -> Option<String> {
    let path = format!("/boot/{}", copy.to);
    match labeler.label_of(path.as_bytes(), Kind::File) {
        Ok(label) => label.map(str::to_owned),
        Err(error) => {
            log::warn!("{error:#}");
            None
        }
    }
}

/// `ostree/deploy/STATEROOT/deploy/CHECKSUM.SERIAL` of a path in it.
fn deployment_of(path: &str) -> Option<&str> {
    let path = path.strip_prefix("ostree/deploy/").map(|_| path)?;
    path.match_indices('/').nth(4).map(|(end, _)| path.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::deployment_of;

    #[test]
    fn the_deployment_of_a_boot_file() {
        for (path, deployment) in [
            ("ostree/deploy/os/deploy/c.0/usr/lib/modules/6.1/vmlinuz", Some("ostree/deploy/os/deploy/c.0")),
            ("ostree/deploy/os/deploy/c.0", None),
            ("/run/ostree/staged-initrds/c", None),
        ] {
            assert_eq!(deployment_of(path), deployment, "{path}");
        }
    }
}
