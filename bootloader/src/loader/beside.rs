// SPDX-License-Identifier: MIT OR Apache-2.0
//! The files that GRUB reads beside its menu: the variables of `grub-reboot` and `grub-set-default`, and the administrator's own.

use formats::grubenv::Grubenv;

/// The files beside a loader's menu that have a say in the choice of an entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beside {
    /// The directory, below `/boot`.
    pub dir: String,
    /// Its `grubenv`; `None` for one that is not there or that GRUB does not take for one.
    pub environment: Option<Grubenv>,
    /// Its `custom.cfg`.
    pub custom: Option<String>,
    /// The script that makes GRUB read the boot entries, where it does that.
    pub script: Option<String>,
}
