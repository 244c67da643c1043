// SPDX-License-Identifier: MIT OR Apache-2.0
//! GRUB of Debian's sid, the first one of upstream's that reads boot entries by itself.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{BootLoader, WholeDisk, grub, package};
use crate::environment::Environment;

/// GRUB 2.14 for a BIOS, which reads the boot entries.
#[derive(Debug)]
pub(crate) struct NewerGrub {
    /// The directory of its modules.
    modules: PathBuf,
    /// Whether its first file is the menu that is made of the entries, instead of reading them.
    menu: bool,
}

impl NewerGrub {
    /// Of Debian's package grub-pc-bin.
    pub(crate) fn fetch(environment: &Environment) -> Result<Self> {
        let package = package::fetch(environment, "sid", "grub-pc-bin")?;
        Ok(Self { modules: package.join("usr/lib/grub/i386-pc"), menu: false })
    }

    /// The same, beginning with the menu.
    pub(crate) fn with_menu(self) -> Self {
        Self { menu: true, ..self }
    }
}

/// Its first file. Without a file system of its own for `/boot`, the entries are not where it looks for them.
const GRUB_CFG: &str = "blscfg --path /boot/loader/entries\nsource ${prefix}/custom.cfg\n";

impl BootLoader for NewerGrub {
    fn kind(&self) -> &'static str {
        "grub2"
    }

    fn prepare(&self) -> String {
        if self.menu {
            return grub::directory(grub::LINK);
        }
        grub::directory(&format!("cat >boot/grub/grub.cfg <<'END'\n{GRUB_CFG}END"))
    }

    fn install(&self, disk: &WholeDisk, directory: &Path) -> Result<()> {
        grub::install_bios(disk, &self.modules, &["blsuki"], directory)
    }
}
