// SPDX-License-Identifier: MIT OR Apache-2.0
//! The two places for a set of entries, and the names that each has.

use serde::Serialize;

/// A place for entries and for their links: `boot.N.M`, and `loader.N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Slot {
    /// N: 0 or 1.
    pub boot_version: u8,
    /// M: 0 or 1.
    pub sub_boot_version: u8,
}

impl Slot {
    /// `boot.N`.
    pub(crate) fn link(&self) -> String {
        format!("boot.{}", self.boot_version)
    }

    /// `boot.N.M`.
    pub(crate) fn links_dir(&self) -> String {
        format!("boot.{}.{}", self.boot_version, self.sub_boot_version)
    }

    /// `loader.N`.
    pub(crate) fn loader_dir(&self) -> String {
        format!("loader.{}", self.boot_version)
    }
}
