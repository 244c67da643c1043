// SPDX-License-Identifier: MIT OR Apache-2.0
//! The options of the commands that deploy a tree: its labels, and the faults of it that are ignored.

use clap::ValueEnum;
use deploy::{Check, Selinux};

// No comment of documentation: it would become the text of the commands that have these options.
#[derive(Debug, clap::Args)]
pub(super) struct TreeOptions {
    /// Label a tree that has an SELinux policy, or ignore the policy
    #[arg(long, value_name = "HOW", default_value = "label")]
    selinux: SelinuxArg,
    /// Deploy a tree all the same that this check refuses: mount-points, prepare-root-conf, initramfs or kernel-arguments; can be used
    /// multiple times
    #[arg(long, value_name = "CHECK")]
    pub(super) ignore: Vec<Check>,
}

impl TreeOptions {
    /// The treatment of the tree's SELinux policy.
    pub(super) fn selinux(&self) -> Selinux {
        self.selinux.into()
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SelinuxArg {
    /// Label what is made from it, as its policy says
    Label,
    /// Deploy it without labels
    Ignore,
}

impl From<SelinuxArg> for Selinux {
    fn from(how: SelinuxArg) -> Self {
        match how {
            SelinuxArg::Label => Self::Label,
            SelinuxArg::Ignore => Self::Ignore,
        }
    }
}
