// SPDX-License-Identifier: MIT OR Apache-2.0
//! A system on a disk, made ready for an operation.

use std::path::{Path, PathBuf};

use anyhow::Result;
use fn_error_context::context;

use crate::disk::{Attached, Layout};
use crate::kit::Kit;
use crate::menu::Menu;
use crate::operation::Operation;
use crate::session::Session;
use crate::snapshot::Snapshot;

/// The commands that every system begins with.
const INITIALIZE: &[&str] = &["ostree admin init-fs --modern $OSTREE_SYSROOT", "ostree admin os-init testos"];
/// For a `/boot` that is a directory of the root.
const WITH_PREFIX: &str = "ostree --repo=$REPO config set sysroot.bootprefix true";

/// The disk of a system that is not running.
#[derive(Debug)]
pub struct Machine {
    /// Its file systems.
    pub layout: Layout,
    /// Its disk.
    pub image: PathBuf,
}

impl Machine {
    /// Makes the disk `image` in `directory`, and on it the system that an operation begins with.
    #[context("Preparing {} on {layout}", operation.name)]
    pub fn prepare(layout: Layout, operation: &Operation, kit: &Kit, directory: &Path) -> Result<Self> {
        let image = directory.join("base.img");
        layout.make(&image)?;
        let attached = Attached::new(layout, &image)?;
        let at = directory.join("root");
        std::fs::create_dir_all(&at)?;
        let mounted = attached.mount(&at)?;
        let mut session = Session::start(kit, &mounted.root, None, &directory.join("out"))?;
        let prefix = layout.boot.is_none().then_some(&WITH_PREFIX);
        let loader = layout.loader;
        let lines = INITIALIZE.iter().chain(prefix).chain(loader.before());
        for line in lines.chain(operation.prepare).chain(loader.after()) {
            session.ok(line)?;
        }
        drop(session);
        if !operation.prepare_booted.is_empty() {
            let menu = Menu::read(&mounted.root.join("boot"), &Snapshot::of(&mounted.root)?);
            let mut session = Session::boot(kit, &mounted.root, &menu, &directory.join("out"))?;
            for line in operation.prepare_booted {
                session.ok(line)?;
            }
        }
        mounted.unmount()?;
        Ok(Self { layout, image })
    }
}
