// SPDX-License-Identifier: MIT OR Apache-2.0
//! The findings, and the paths that they are found at.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The paths of the configuration in an initramfs, the lowest layer first.
pub const CONFIG: [&str; 2] = ["usr/lib/ostree/prepare-root.conf", "etc/ostree/prepare-root.conf"];

/// The program that prepares the root, in whichever directory.
pub const PROGRAM: &str = "ostree-prepare-root";

/// The largest configuration or key, in bytes: `ostree-prepare-root` reads no longer one.
pub const MAX_CONFIG: u64 = 64 * 1024;

/// The files of an initramfs that decide about the boot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Contents {
    /// The layers of `prepare-root.conf`, by their path.
    pub config: BTreeMap<String, String>,
    /// Checksums of the public keys, by their path.
    pub keys: BTreeMap<String, String>,
    /// The checksum of `ostree-prepare-root`; `None` where there is none.
    pub program: Option<String>,
}

impl Contents {
    /// The layers of the configuration with their paths, the lowest first.
    pub fn layers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        CONFIG.into_iter().filter_map(|path| self.config.get(path).map(|text| (path, text.as_str())))
    }
}
