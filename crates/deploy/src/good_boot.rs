// SPDX-License-Identifier: MIT OR Apache-2.0
//! The end of a good boot: the switch that led to it is proven, and the set of before goes.

use anyhow::Result;
use bootloader::Settings;
use sysroot::{Loaded, Sysroot};

use crate::removal::{self, Cleaned};

/// The changes that end a good boot.
#[derive(Debug)]
pub struct BootGood {
    /// Paths that are gone, from the root.
    pub swept: Vec<String>,
    /// Why the switch could not be proven, if so: then nothing of the old entries is gone.
    pub unproven: Option<String>,
    /// Deployments that are gone.
    pub cleaned: Cleaned,
}

/// Tells whether [`boot_good`](crate::boot_good) would not have anything to do.
pub fn is_settled(sysroot: &Sysroot) -> Result<bool> {
    let loaded = sysroot.load()?;
    let settings = sysroot.boot_settings(&loaded)?;
    Ok(!has_leftovers(&loaded, &settings)
        && removal::unneeded_deployments(sysroot, &loaded, &settings)?.is_empty())
}

/// Whether the last switch has not come to its end.
pub(crate) fn has_leftovers(loaded: &Loaded, settings: &Settings) -> bool {
    loaded.boot.record.is_some() || !bootloader::leftovers(&loaded.boot, settings).is_empty()
}
