// SPDX-License-Identifier: MIT OR Apache-2.0
//! The system that an operation begins with, fresh for each try: a copy of its disk, mounted, with a session in it.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::disk::{Attached, Layout, Mounted};
use crate::image;
use crate::kit::Kit;
use crate::machine::Machine;
use crate::menu::{Menu, MenuEntry};
use crate::session::Session;
use crate::snapshot::Snapshot;

/// A place where copies of machines run, one after the other.
pub(crate) struct Stand {
    image: File,
    attached: Attached,
    directory: PathBuf,
}

/// A system that runs.
pub(crate) struct System<'a> {
    /// Where its physical root is mounted.
    pub(crate) root: PathBuf,
    kit: &'a Kit,
    booted: bool,
    out: PathBuf,
    // In this order they are dropped.
    session: Option<Session>,
    mounted: Mounted,
}

impl Stand {
    /// For copies of machines with this layout; works in `directory`.
    pub(crate) fn new(layout: Layout, directory: &Path) -> Result<Self> {
        std::fs::create_dir_all(directory.join("root")).context("Making a directory to mount at")?;
        let path = directory.join("disk.img");
        let image = File::create(&path).with_context(|| format!("Making {}", path.display()))?;
        image.set_len(layout.length())?;
        Ok(Self { image, attached: Attached::new(layout, &path)?, directory: directory.to_owned() })
    }

    /// Starts a copy; with `booted` from the default of its menu.
    pub(crate) fn start<'a>(&self, machine: &Machine, kit: &'a Kit, booted: bool) -> Result<System<'a>> {
        self.attached.wait()?;
        image::copy(&File::open(&machine.image)?, &self.image)?;
        let mounted = self.attached.mount(&self.directory.join("root"))?;
        let (root, out) = (mounted.root.clone(), self.directory.join("out"));
        let mut system = System { root, kit, booted, out, session: None, mounted };
        system.reboot()?;
        Ok(system)
    }
}

impl System<'_> {
    /// Ends the session and starts another one, without touching the disk.
    pub(crate) fn reboot(&mut self) -> Result<()> {
        drop(self.session.take());
        let entry: Option<MenuEntry> = match self.booted {
            true => self.menu()?.1.entries.first().cloned(),
            false => None,
        };
        self.session = Some(Session::start(self.kit, &self.root, entry.as_ref(), &self.out)?);
        Ok(())
    }

    /// Reads the system, and the menu in it.
    pub(crate) fn menu(&self) -> Result<(Snapshot, Menu)> {
        let snapshot = Snapshot::of(&self.root)?;
        let menu = Menu::read(&self.root.join("boot"), &snapshot);
        Ok((snapshot, menu))
    }

    /// The session.
    pub(crate) fn session(&mut self) -> Result<&mut Session> {
        self.session.as_mut().context("There is no session")
    }

    /// A file that the session sees in `/run/out`.
    pub(crate) fn out(&self, name: &str) -> PathBuf {
        self.out.join(name)
    }

    /// Ends it.
    pub(crate) fn stop(self) -> Result<()> {
        drop(self.session);
        self.mounted.unmount()
    }
}
