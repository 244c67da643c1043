// SPDX-License-Identifier: MIT OR Apache-2.0
//! Removing a path.

use std::os::fd::AsFd;

use anyhow::Result;

use crate::dirs::open_parent;
use crate::places::Places;

/// The outcome of a sweep.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Paths that are gone, from the root.
    pub removed: Vec<String>,
    /// Paths that are not, and why.
    pub failed: Vec<String>,
}

/// Removes a path from the root, with all that is below it.
pub(crate) fn remove(places: Places<'_>, path: &str, swept: &mut Swept) -> Result<()> {
    let Some((dir, name)) = open_parent(places, path)? else { return Ok(()) };
    let removal = durable::remove_tree(dir.as_fd(), name)?;
    if removal.is_complete() {
        swept.removed.push(path.to_owned());
    }
    let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
    for (left, errno) in &removal.failed {
        swept.failed.push(format!("{dir}/{}: {errno}", left.display()));
    }
    Ok(())
}
