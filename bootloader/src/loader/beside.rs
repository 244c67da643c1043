// SPDX-License-Identifier: MIT OR Apache-2.0
//! What GRUB reads beside its menu: the variables that `grub-reboot` and `grub-set-default` keep, and what is the administrator's own.

use std::os::fd::BorrowedFd;

use formats::grubenv::Grubenv;

use super::EntryPoint;
use super::grub2;
use crate::state::read::read_text;

/// What lies beside a loader's menu and has a say in what is booted.
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

impl Beside {
    /// Reads what is in the directory that GRUB, beginning at this file, has as its own. What cannot be read is not there for GRUB
    /// either.
    pub(super) fn read(boot: BorrowedFd<'_>, point: &EntryPoint) -> Self {
        let dir = grub2::directory(&point.path, &point.text);
        let text = |name: &str| read_text(boot, &format!("{dir}/{name}")).ok().flatten();
        let environment = text("grubenv").and_then(|block| Grubenv::parse(block.as_bytes()).ok());
        Self { environment, custom: text("custom.cfg"), script: Some(point.text.clone()), dir }
    }
}
