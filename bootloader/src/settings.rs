// SPDX-License-Identifier: MIT OR Apache-2.0
//! The decisions that are made elsewhere: by the configuration, by the command line and by what is running.

use durable::Freezing;
use formats::bootlink::Bootlink;

use crate::loader::Installed;

/// The decisions that a switch takes as given, of the configuration, the command line and the running system.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// `[sysroot] bootprefix`: paths in entries begin with `/boot/`, for a `/boot` that is no file system of
    /// its own.
    pub boot_prefix: bool,
    /// `[sysroot] freeze-root`.
    pub freezing: Freezing,
    /// The sysroot is not that of the running system (an image is being made): there is no reboot to ask
    /// for, and whoever unmounts it proves the switch.
    pub offline: bool,
    /// The `ostree=` of the running system: what it names is never removed.
    pub running: Option<Bootlink>,
    /// The `boot=` of the running system: the device that its `/boot` is on, where it says so.
    pub boot_argument: Option<String>,
    /// Names in `/boot/ostree` that a staged deployment will need: boot files that no entry names yet, and that stay.
    pub awaited: Vec<String>,
    /// The boot loader.
    pub installed: Installed,
    /// A program that writes GRUB's configuration in place of the menu that is made here (`grub-mkconfig`): it is called
    /// with `-o FILE`.
    pub grub_generator: Option<String>,
    /// The beginning of paths in GRUB's menu, where that is not what the file systems say: `""` or `/boot`.
    pub grub_prefix: Option<String>,
    /// `[sysroot] bls-append-except-default`: keys of every entry but the default.
    pub except_default: Vec<(String, String)>,
    /// Where a loader's tool is looked for in place of `PATH`.
    pub tool_path: Option<String>,
    /// Show what tools and generators print, whether they fail or not.
    pub show_tools: bool,
    /// Write all entries and files anew, whether something has changed or not.
    pub rewrite: bool,
    /// The file names of entries have the stateroot in them, as those of older C tools: `ostree-2-debian.conf`.
    pub stateroot_in_names: bool,
    /// Deployments may lack directories on which the boot mounts something: for who has said that it does not matter.
    pub incomplete_trees: bool,
    /// Start the watchdog of a freeze before the commit, and fail: for who tests what a failure leaves.
    pub test_freeze: bool,
}

impl Settings {
    /// The beginning of paths in `/boot`.
    pub(crate) fn prefix(&self) -> &'static str {
        if self.boot_prefix { "/boot/" } else { "/" }
    }
}
