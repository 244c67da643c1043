// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sysroot's side of a boot switch: which loader there is, and what the configuration and the running system
//! ask for.

use anyhow::{Context, Result};
use bootloader::{Loader, Settings, loader};
use durable::Freezing;
use formats::bootlink::Bootlink;
use formats::kernel_args::KernelArgs;

use crate::sysroot::{Loaded, Sysroot};

/// The group of the repository's `config` that is about the sysroot.
const GROUP: &str = "sysroot";

impl Sysroot {
    /// The boot loader to write for.
    pub(crate) fn loader(&self) -> Result<Box<dyn Loader>> {
        let choice =
            match self.repo().config().string(GROUP, "bootloader").context("Reading ostree/repo/config")? {
                Some(name) => name.parse().context("Reading ostree/repo/config")?,
                None => loader::Choice::Auto,
            };
        loader::select(choice, self.places().boot)
    }

    /// What a switch must respect.
    pub(crate) fn boot_settings(&self, loaded: &Loaded) -> Result<Settings> {
        let freezing = if self.flag("freeze-root")? { Freezing::EvenTheRoot } else { Freezing::NotTheRoot };
        Ok(Settings {
            boot_prefix: self.flag("bootprefix")?,
            freezing,
            offline: !loaded.is_running_system,
            running: if loaded.is_running_system { running_bootlink() } else { None },
        })
    }

    /// A flag of the configuration; beside GKeyFile's words `yes` and `no` will do.
    fn flag(&self, key: &str) -> Result<bool> {
        match self.repo().config().raw(GROUP, key).map(str::trim_end) {
            None | Some("no") => Ok(false),
            Some("yes") => Ok(true),
            Some(_) => {
                let value = self.repo().config().boolean(GROUP, key).context("Reading ostree/repo/config")?;
                Ok(value.unwrap_or(false))
            }
        }
    }
}

/// The `ostree=` that the running system was started with.
fn running_bootlink() -> Option<Bootlink> {
    let line = std::fs::read_to_string("/proc/cmdline").ok()?;
    KernelArgs::parse(&line).first("ostree")??.parse().ok()
}
