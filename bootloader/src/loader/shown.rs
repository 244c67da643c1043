// SPDX-License-Identifier: MIT OR Apache-2.0
//! The entries as a loader would show and boot them.

use formats::bls::Entry;
use formats::kernel_args::KernelArgs;
use serde::Serialize;

/// The path of a boot entry, with or without `/boot` before it, as seen from there.
pub(super) fn below_boot(path: &str) -> &str {
    path.strip_prefix("/boot").filter(|below| below.starts_with('/')).unwrap_or(path)
}

/// The menu that a loader would show.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Shown {
    /// In the order of its menu.
    pub entries: Vec<ShownEntry>,
    /// Which of them it boots if nobody chooses, as far as that can be told.
    pub default: Option<usize>,
    /// The file that says so, if it is one beside its configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chosen_by: Option<String>,
}

/// An entry as a loader reads it; paths from the root of the file system that holds `/boot`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ShownEntry {
    /// The title by which a person chooses.
    pub title: String,
    /// The kernel; `None` where it boots something else.
    pub linux: Option<String>,
    /// The initrds.
    pub initrd: Vec<String>,
    /// The device tree.
    pub devicetree: Option<String>,
    /// The kernel command line.
    pub options: String,
}

impl ShownEntry {
    /// Whether it boots a deployment.
    pub fn is_ours(&self) -> bool {
        KernelArgs::parse(&self.options).first("ostree").is_some()
    }

    /// Whether it does what a boot entry says. What stands before paths depends on the loader, unless `/boot` is in a subvolume that it
    /// has to name.
    pub(crate) fn boots(&self, entry: &Entry, subvolume: Option<&str>) -> bool {
        let same = |shown: &str, path: &str| match subvolume {
            Some(top) => shown.strip_prefix(top) == Some(below_boot(path)),
            None => shown == path || shown.strip_prefix("/boot") == Some(path),
        };
        let linux = self.linux.as_deref().zip(entry.linux());
        let (initrds, tree) = (entry.initrd(), entry.get("devicetree"));
        // Loaders take quotes away and put them back, around the argument instead of its value.
        self.options.replace('"', "") == entry.options().replace('"', "")
            && linux.is_some_and(|(shown, path)| same(shown, path))
            && self.initrd.len() == initrds.len()
            && self.initrd.iter().zip(initrds).all(|(shown, path)| same(shown, path))
            && self.devicetree.is_some() == tree.is_some()
            && self.devicetree.as_deref().zip(tree).is_none_or(|(shown, path)| same(shown, path))
    }
}
