// SPDX-License-Identifier: MIT OR Apache-2.0
//! GRUB of Debian's sid, the first one of upstream's that reads boot entries by itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use fn_error_context::context;

use super::grub;
use super::{BootLoader, Layout, WholeDisk};
use crate::command;
use crate::environment::Environment;
use crate::firmware::Firmware;
use crate::image::apt_sources;

/// GRUB 2.14 for a BIOS, which reads the boot entries.
#[derive(Debug)]
pub(crate) struct NewerGrub {
    /// The directory of its modules.
    modules: PathBuf,
    /// Whether its first file is the menu that is made of the entries, instead of reading them.
    menu: bool,
}

impl NewerGrub {
    /// Takes its package from the host's mirror, unless the cache has it. Nothing is installed.
    #[context("Fetching GRUB of Debian sid")]
    pub(crate) fn fetch(environment: &Environment) -> Result<Self> {
        let cache = environment.cache("grub-sid")?;
        let tree = cache.join("tree");
        if !tree.exists() {
            let scratch = environment.scratch("grub-sid")?;
            apt_sources::write(&scratch, "sid")?;
            for directory in ["state", "cache/archives/partial", "tree"] {
                fs::create_dir_all(scratch.join(directory)).context("Creating apt's directories")?;
            }
            command::run(apt(&scratch).arg("update"))?;
            command::run(apt(&scratch).args(["download", "grub-pc-bin"]))?;
            let unpack = "set -- grub-pc-bin_*.deb; dpkg-deb --extract \"$1\" tree";
            command::run(Command::new("sh").args(["-euc", unpack]).current_dir(&scratch))?;
            fs::rename(scratch.join("tree"), &tree).context("Keeping the package")?;
            fs::remove_dir_all(&scratch).context("Removing apt's directories")?;
        }
        Ok(Self { modules: tree.join("usr/lib/grub/i386-pc"), menu: false })
    }

    /// The same, beginning with the menu.
    pub(crate) fn with_menu(self) -> Self {
        Self { menu: true, ..self }
    }
}

/// `apt-get` that knows nothing of the host but its mirrors.
fn apt(scratch: &Path) -> Command {
    let mut apt = Command::new("apt-get");
    apt.current_dir(scratch).args([
        "-q",
        "-o",
        "Dir::State::status=/dev/null",
        "-o",
        "APT::Sandbox::User=root",
    ]);
    for (key, place) in [
        ("Dir::Etc::sourcelist", "none"),
        ("Dir::Etc::sourceparts", "etc/apt/sources.list.d"),
        ("Dir::Etc::parts", "etc/apt/apt.conf.d"),
        ("Dir::State", "state"),
        ("Dir::Cache", "cache"),
    ] {
        apt.arg("-o").arg(format!("{key}={}", scratch.join(place).display()));
    }
    apt
}

/// Its first file. Without a file system of its own for `/boot`, the entries are not where it looks for them.
const GRUB_CFG: &str = "blscfg --path /boot/loader/entries\nsource ${prefix}/custom.cfg\n";

impl BootLoader for NewerGrub {
    fn kind(&self) -> &'static str {
        "grub2"
    }

    fn firmware(&self) -> Firmware {
        Firmware::Bios
    }

    fn layout(&self) -> Layout {
        Layout::with(&[])
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
