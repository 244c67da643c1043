// SPDX-License-Identifier: MIT OR Apache-2.0
//! The names of files and directories in `/boot` and `/ostree`.

use formats::Checksum;

/// The note of a switch, below `/ostree`.
pub(crate) const RECORD: &str = "boot-switch";
/// The stamp of what is to be done after a switch, in `/boot`.
pub(crate) const STAMP: &str = "ostree-bootloader-update.stamp";
/// Where initrds that are not part of a tree lie in `/boot`.
pub(crate) const OVERLAY_DIR: &str = "ostree/initramfs-overlays";
/// The entries of a later switch, in `/boot`. No boot loader and none of the C tools reads it.
pub(crate) const PRESTAGED: &str = ".ostree-staged-loader";
/// The new link `loader` before the commit, and the old one after it, in `/boot`. The C tools have the same name for it.
pub(crate) const LOADER_TEMPORARY: &str = "loader.tmp";
/// The paths of the note and of the stamp.
pub(crate) const NOTE_PATH: &str = "/ostree/boot-switch";
pub(crate) const STAMP_PATH: &str = "/boot/ostree-bootloader-update.stamp";

const REPAIR_PREFIX: &str = ".ostree-repair-";
const REPAIR_SUFFIX: &str = ".old";

/// Gives the name that `name` has before a repair puts it in its place, and the replaced file afterwards. No boot loader and no
/// other tool reads it, and nobody else has such a name.
pub fn repair_name(name: &str) -> String {
    format!("{REPAIR_PREFIX}{name}{REPAIR_SUFFIX}")
}

pub(crate) fn is_of_repair(name: &str) -> bool {
    name.starts_with(REPAIR_PREFIX) && name.ends_with(REPAIR_SUFFIX)
}

const ASIDE_PREFIX: &str = ".ostree-aside-";

/// Gives the path of what is exchanged with `path`: the new one before the exchange, the old one until that is proven.
///
/// It is no name of the form `.ostree-tmp-BOOT-RANDOM`: it is found again after a reboot, and a plan can name it. No boot loader and no
/// other tool reads it, and nobody else has such a name.
pub(crate) fn aside(path: &str) -> String {
    match path.rsplit_once('/') {
        Some((dir, name)) => format!("{dir}/{ASIDE_PREFIX}{name}"),
        None => format!("{ASIDE_PREFIX}{path}"),
    }
}

pub(crate) fn is_aside(name: &str) -> bool {
    name.starts_with(ASIDE_PREFIX)
}

/// The temporary name of earlier releases.
pub(crate) fn early_temporary(name: &str) -> String {
    format!("{name}.tmp")
}

/// `STATEROOT-BOOTCHECKSUM`, with `.tmp` while it is made; other names are none of ours.
pub(crate) fn is_boot_dir(name: &str) -> bool {
    let name = name.strip_suffix(".tmp").unwrap_or(name);
    name.rsplit_once('-').is_some_and(|(_, checksum)| checksum.parse::<Checksum>().is_ok())
}
