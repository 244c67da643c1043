// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sysroot's side of a boot switch: which loader there is, and what must be respected.

use anyhow::{Context, Result};
use bootloader::{Settings, loader};
use formats::bootlink::Bootlink;
use formats::kernel_args::KernelArgs;

use crate::config::Config;
use crate::load::Loaded;
use crate::sysroot::Sysroot;

impl Sysroot {
    /// The group `[sysroot]` of the repository's configuration.
    pub(crate) fn boot_config(&self) -> Result<Config> {
        Config::parse(self.repo().config()).context("Reading ostree/repo/config")
    }

    /// The boot loader to write for, and what a switch must respect.
    pub(crate) fn boot_settings(&self, loaded: &Loaded) -> Result<Settings> {
        let config = self.boot_config()?;
        let mut installed = loader::select(config.bootloader, self.places().boot)?;
        if loaded.is_running_system {
            installed.compare_esp(self.places().boot, loader::booted_partition())?;
        }
        Ok(Settings {
            boot_prefix: config.boot_prefix,
            freezing: config.freezing,
            offline: !loaded.is_running_system,
            running: if loaded.is_running_system { running_bootlink() } else { None },
            boot_argument: if loaded.is_running_system { running_boot() } else { None },
            awaited: loaded.awaited(),
            installed,
            grub_generator: std::env::var("OSTREE_GRUB2_EXEC").ok().filter(|program| !program.is_empty()),
            grub_prefix: std::env::var("OSTREE_BOOT_PARTITION").ok(),
            except_default: config.except_default,
            tool_path: None,
            rewrite: false,
        })
    }
}

/// The `ostree=` that the running system was started with.
pub(crate) fn running_bootlink() -> Option<Bootlink> {
    running_argument("ostree")?.parse().ok()
}

/// Its `boot=`, which names the device of `/boot`.
fn running_boot() -> Option<String> {
    running_argument("boot")
}

fn running_argument(name: &str) -> Option<String> {
    let line = std::fs::read_to_string("/proc/cmdline").ok()?;
    KernelArgs::parse(&line).first(name)?.map(str::to_owned)
}
