// SPDX-License-Identifier: MIT OR Apache-2.0
//! The system that an operation begins with, fresh for each try: a copy of its disk, mounted, with a session in it.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::disk::{Attached, Mounted};
use crate::kit::Kit;
use crate::machine::Machine;
use crate::menu::{Menu, MenuEntry};
use crate::session::Session;
use crate::snapshot::Snapshot;
use crate::workshop::clone_file;

/// A place where copies of a machine run, one after the other.
pub(super) struct Stand<'a> {
    machine: &'a Machine,
    kit: &'a Kit,
    image: PathBuf,
    directory: PathBuf,
}

/// A system that runs.
pub(super) struct System {
    /// Where its physical root is mounted.
    pub(super) root: PathBuf,
    out: PathBuf,
    // In this order they are dropped.
    session: Option<Session>,
    mounted: Mounted,
    _attached: Attached,
}

impl<'a> Stand<'a> {
    /// For copies of `machine`; works in `directory`.
    pub(super) fn new(machine: &'a Machine, kit: &'a Kit, directory: &Path) -> Result<Self> {
        std::fs::create_dir_all(directory.join("root")).context("Making a directory to mount at")?;
        Ok(Self { machine, kit, image: directory.join("disk.img"), directory: directory.to_owned() })
    }

    /// Starts a copy; with `booted` from the default of its menu.
    pub(super) fn start(&self, booted: bool) -> Result<System> {
        let _ = std::fs::remove_file(&self.image);
        clone_file(&File::open(&self.machine.image)?, &File::create_new(&self.image)?)?;
        let attached = Attached::new(self.machine.layout, &self.image)?;
        let mounted = attached.mount(&self.directory.join("root"))?;
        let (root, out) = (mounted.root.clone(), self.directory.join("out"));
        let mut system = System { root, out, session: None, mounted, _attached: attached };
        system.reboot(self.kit, booted)?;
        Ok(system)
    }
}

impl System {
    /// Ends the session and starts another one, without touching the disk.
    pub(super) fn reboot(&mut self, kit: &Kit, booted: bool) -> Result<()> {
        drop(self.session.take());
        let entry: Option<MenuEntry> = match booted {
            true => self.menu()?.1.entries.first().cloned(),
            false => None,
        };
        self.session = Some(Session::start(kit, &self.root, entry.as_ref(), &self.out)?);
        Ok(())
    }

    /// What is there, and the menu in it.
    pub(super) fn menu(&self) -> Result<(Snapshot, Menu)> {
        let snapshot = Snapshot::of(&self.root)?;
        let menu = Menu::read(&self.root.join("boot"), &snapshot);
        Ok((snapshot, menu))
    }

    /// The session.
    pub(super) fn session(&mut self) -> Result<&mut Session> {
        self.session.as_mut().context("There is no session")
    }

    /// A file that the session sees in `/run/out`.
    pub(super) fn out(&self, name: &str) -> PathBuf {
        self.out.join(name)
    }

    /// Ends it.
    pub(super) fn stop(self) -> Result<()> {
        drop(self.session);
        self.mounted.unmount()
    }
}
