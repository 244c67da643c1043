// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a cut may leave under a temporary name, outside of the sets of entries.
//!
//! ```text
//! /boot/grub/grub.cfg.tmp                       the link to the menu before the exchange, and after it what was there
//! /boot/ostree-bootloader-update.stamp.tmp      the stamp while it is written
//! /boot/ostree/initramfs-overlays.tmp           the directory while it is made
//! ```

use std::os::fd::AsFd;

use anyhow::Result;
use rustix::fs::FileType;

use super::after::{STAMP, temporary};
use crate::entry::OVERLAY_DIR;
use crate::loader::{Installed, Reads};
use crate::state::Places;
use crate::state::read::{kind, names, open_dir, read_link, read_text};

/// Those that are there and ours by what they are: paths from the root. What the exchange of the first file has left is no longer
/// needed once that is proven, which is for the caller to know.
pub(crate) fn left_behind(places: Places<'_>, installed: &Installed) -> Result<Vec<String>> {
    let mut found = Vec::new();
    found.extend(first_file(places, installed)?);
    let stamp = temporary(STAMP);
    if kind(places.boot, &stamp)? == Some(FileType::RegularFile) {
        found.push(stamp);
    }
    let overlays = temporary(OVERLAY_DIR);
    let is_empty = |dir| Ok::<_, anyhow::Error>(names(&dir)?.is_empty());
    if open_dir(places.boot, &overlays)?.map(is_empty).transpose()? == Some(true) {
        found.push(overlays);
    }
    Ok(found.into_iter().map(|path| format!("/boot/{path}")).collect())
}

/// Beside the file where the loader begins: a link to our file, or, if that file is such a link already, something of which nothing is
/// lost.
fn first_file(places: Places<'_>, installed: &Installed) -> Result<Option<String>> {
    let Some(point) = &installed.entry_point else { return Ok(None) };
    let path = temporary(&point.path);
    let is_ours = match kind(places.boot, &path)? {
        Some(FileType::Symlink) => {
            let target = read_link(places.boot, &path)?;
            installed
                .loader
                .file()
                .zip(target)
                .is_some_and(|(file, target)| target == format!("../loader/{file}"))
        }
        Some(FileType::RegularFile) if point.link.is_some() && installed.reads() == Reads::OurFile => {
            let text = read_text(places.boot.as_fd(), &path)?.unwrap_or_default();
            installed.loader.reads(None, &text) == Reads::Replaceable
        }
        _ => false,
    };
    Ok(is_ours.then_some(path))
}
