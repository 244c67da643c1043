// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changes of the refs of deployments; see [`sysroot::menu_refs`] for their names.

use std::collections::BTreeSet;

use bootloader::Slot;
use formats::Checksum;
use formats::bootlink::DeploymentPath;
use sysroot::menu_refs::name;

/// How the refs of deployments change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RefPlan {
    /// Written, each with its commit.
    pub(crate) set: Vec<(String, Checksum)>,
    /// Removed after that.
    pub(crate) delete: Vec<String>,
}

impl RefPlan {
    /// Plans that the refs are those of `deployments` in `slot`, and that others among `present` go.
    pub(crate) fn new<'a>(
        present: impl IntoIterator<Item = String>,
        slot: &Slot,
        deployments: impl IntoIterator<Item = &'a DeploymentPath>,
    ) -> Self {
        let each = deployments.into_iter().enumerate();
        let set: Vec<_> = each.map(|(index, path)| (name(slot, index), path.checksum)).collect();
        let stays = |name: &String| set.iter().any(|(wanted, _)| wanted == name);
        let delete: BTreeSet<String> = present.into_iter().filter(|name| !stays(name)).collect();
        Self { set, delete: delete.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(boot_version: u8, sub_boot_version: u8) -> Slot {
        Slot { boot_version, sub_boot_version }
    }

    #[test]
    fn what_is_named_again_is_not_removed() {
        let path = |text: &str| DeploymentPath {
            stateroot: "os".to_owned(),
            checksum: Checksum::of(text.as_bytes()),
            deploy_serial: 0,
        };
        let paths = [path("a"), path("b")];
        let present = ["ostree/1/1/1", "ostree/0/1/0", "ostree/0/1/1", "ostree/0/1/2"];
        let plan = RefPlan::new(present.map(str::to_owned), &slot(0, 1), &paths);
        let set: Vec<_> = plan.set.iter().map(|(name, commit)| (name.as_str(), *commit)).collect();
        assert_eq!(set, [("ostree/0/1/0", paths[0].checksum), ("ostree/0/1/1", paths[1].checksum)]);
        assert_eq!(plan.delete, ["ostree/0/1/2", "ostree/1/1/1"]);
    }
}
