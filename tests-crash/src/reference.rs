// SPDX-License-Identifier: MIT OR Apache-2.0
//! States of a system that a disturbed operation may leave: the one before it, and those after each of its commands.

use std::path::Path;

use anyhow::{Result, ensure};

use crate::menu::Menu;
use crate::snapshot::Snapshot;

/// The state of the disk at a moment when nothing was under way.
#[derive(Debug, Clone)]
pub struct Reference {
    /// Before the first command, or the command behind which it was taken.
    pub name: String,
    /// Everything on the root and in `/boot`.
    pub snapshot: Snapshot,
    /// The boot menu.
    pub menu: Menu,
}

impl Reference {
    /// Takes one of the system below `root`, which must be in order.
    pub(crate) fn take(name: &str, root: &Path) -> Result<Self> {
        let snapshot = Snapshot::of(root)?;
        let menu = Menu::read(&root.join("boot"), &snapshot);
        ensure!(menu.problems.is_empty(), "{name}: {}", menu.problems.join("; "));
        Ok(Self { name: name.to_owned(), snapshot, menu })
    }
}
