// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sysroot's side of a boot switch: which loader there is, and what must be respected.

use anyhow::{Context, Result};
use bootloader::{Loader, Settings, loader};
use formats::bootlink::Bootlink;
use formats::kernel_args::KernelArgs;

use crate::config::Config;
use crate::load::Loaded;
use crate::sysroot::Sysroot;

impl Sysroot {
    /// The boot loader to write for, and what a switch must respect.
    pub(crate) fn boot_settings(&self, loaded: &Loaded) -> Result<(Box<dyn Loader>, Settings)> {
        let config = Config::parse(self.repo().config()).context("Reading ostree/repo/config")?;
        let settings = Settings {
            boot_prefix: config.boot_prefix,
            freezing: config.freezing,
            offline: !loaded.is_running_system,
            running: if loaded.is_running_system { running_bootlink() } else { None },
        };
        Ok((loader::select(config.bootloader, self.places().boot)?, settings))
    }
}

/// The `ostree=` that the running system was started with.
pub(crate) fn running_bootlink() -> Option<Bootlink> {
    let line = std::fs::read_to_string("/proc/cmdline").ok()?;
    KernelArgs::parse(&line).first("ostree")??.parse().ok()
}
