// SPDX-License-Identifier: MIT OR Apache-2.0
//! The temporary names that a cut may leave, outside of the sets of entries.
//!
//! ```text
//! /boot/grub/.ostree-aside-grub.cfg             the link to the menu before the exchange, and after it what was there
//! /boot/.ostree-aside-ostree                    the same of the directory of boot files
//! /boot/.ostree-tmp-…  /boot/ostree/.ostree-tmp-…  /boot/grub/.ostree-tmp-…  /ostree/.ostree-tmp-…
//!                                               a file, a link or a directory while it is made
//! /boot/.ostree-repair-loader.old               what a repair has replaced without a proof
//! /boot/loader.N/entries/.ostree-repair-ostree-1.conf.old
//! /boot/ostree/STATEROOT-BOOTCHECKSUM/.ostree-repair-FILE.old
//! ```
//!
//! Of earlier releases, whose names may be somebody else's as well, and which are known by what they are:
//!
//! ```text
//! /boot/grub/grub.cfg.tmp                       the link to the menu, or what was there
//! /boot/ostree.tmp                              the directory of boot files, with the names that keep it in a block
//! /boot/ostree-bootloader-update.stamp.tmp      the stamp while it is written
//! /boot/ostree/initramfs-overlays.tmp           the directory while it is made, with nothing in it
//! ```

use std::os::fd::OwnedFd;

use anyhow::Result;
use rustix::fs::FileType;

use crate::block_format;
use crate::dirs::{kind, names, open_dir, read_link, read_text};
use crate::loader::{Grub2, Loader, Reads, Syslinux};
use crate::names::{OVERLAY_DIR, STAMP, early_temporary, is_aside, is_boot_dir, is_of_repair};
use crate::places::Places;

/// The first files that become links, below `/boot`, and the loaders that read them.
const FIRST_FILES: [(&str, &str, &dyn Loader); 3] =
    [("grub", "grub.cfg", &Grub2), ("grub2", "grub.cfg", &Grub2), ("syslinux", "syslinux.cfg", &Syslinux)];

/// Lists those that are there: paths from the root. The caller knows whether a boot loader may still read what an exchange has
/// put aside.
pub(super) fn stale_temps(places: Places<'_>) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for (dir, file, loader) in FIRST_FILES {
        if let Some(opened) = open_dir(places.boot, dir)? {
            let name = early_temporary(file);
            if is_early_first_file(&opened, file, &name, loader)? {
                found.push(format!("/boot/{dir}/{name}"));
            }
        }
    }
    let boot_file = |name: &str| format!("/boot/{name}");
    let stamp = early_temporary(STAMP);
    if kind(places.boot, &stamp)? == Some(FileType::RegularFile) {
        found.push(boot_file(&stamp));
    }
    let overlays = early_temporary(OVERLAY_DIR);
    let is_empty = |dir| Ok::<_, anyhow::Error>(names(&dir)?.is_empty());
    if open_dir(places.boot, &overlays)?.map(is_empty).transpose()? == Some(true) {
        found.push(boot_file(&overlays));
    }
    let ostree = early_temporary("ostree");
    if let Some(dir) = open_dir(places.boot, &ostree)?
        && block_format::is_made_here(&dir)?
    {
        found.push(boot_file(&ostree));
    }
    found.extend(repaired(places)?.iter().map(|path| boot_file(path)));
    // Here the lock of the sysroot is held, so nobody is making them now.
    let below_boot = [".", "ostree"].into_iter().chain(FIRST_FILES.map(|(dir, ..)| dir));
    let below_boot = below_boot.map(|dir| (places.boot, dir, format!("/boot/{dir}").replace("/.", "")));
    for (top, below, dir) in below_boot.chain([(places.root, "ostree", "/ostree".to_owned())]) {
        let names = open_dir(top, below)?.as_ref().map(names).transpose()?.unwrap_or_default();
        let ours = names.iter().filter(|name| durable::is_temporary(name) || is_aside(name));
        found.extend(ours.map(|name| format!("{dir}/{name}")));
    }
    Ok(found)
}

/// A file that was there before a repair.
fn repaired(places: Places<'_>) -> Result<Vec<String>> {
    let mut dirs = vec![".".to_owned()];
    dirs.extend((0..=1).map(|version| format!("loader.{version}/entries")));
    if let Some(ostree) = open_dir(places.boot, "ostree")? {
        dirs.extend(
            names(&ostree)?.iter().filter(|name| is_boot_dir(name)).map(|name| format!("ostree/{name}")),
        );
    }
    let mut found = Vec::new();
    for path in dirs {
        let Some(dir) = open_dir(places.boot, &path)? else { continue };
        let below = if path == "." { String::new() } else { format!("{path}/") };
        found.extend(
            names(&dir)?.iter().filter(|name| is_of_repair(name)).map(|name| format!("{below}{name}")),
        );
    }
    Ok(found)
}

/// Whether this is a link to the menu or, if `file` is such a link already, something of which nothing is lost.
fn is_early_first_file(dir: &OwnedFd, file: &str, name: &str, loader: &dyn Loader) -> Result<bool> {
    let ours = format!("../loader/{file}");
    Ok(match kind(dir, name)? {
        Some(FileType::Symlink) => read_link(dir, name)?.as_deref() == Some(&ours),
        Some(FileType::RegularFile) if read_link(dir, file)?.as_deref() == Some(&ours) => {
            let text = read_text(dir, name)?.unwrap_or_default();
            loader.reads(None, &text) == Reads::Replaceable
        }
        _ => false,
    })
}
