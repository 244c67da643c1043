// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files that may go: neither named by an entry that a boot loader can see nor used by the running system.

use crate::names::{PRESTAGED, is_boot_dir};
use crate::settings::Settings;
use crate::slot::Slot;
use crate::state::BootState;

/// The paths that go when `to` is chosen, and its entries and the files of others in it have these texts; from the root, sorted.
pub(crate) fn list(state: &BootState, to: Slot, texts: &[&str], settings: &Settings) -> Vec<String> {
    let mut paths = Vec::new();
    for name in &state.loader_names {
        let waits = name == PRESTAGED && !settings.awaited.is_empty();
        if *name != to.loader_dir() && !waits {
            paths.push(format!("/boot/{name}"));
        }
    }
    let running = settings.running.as_ref().map(|link| Slot {
        boot_version: link.boot_version,
        sub_boot_version: match link.boot_version == to.boot_version {
            true => to.sub_boot_version,
            false => state.sub_boot_version_of(link.boot_version),
        },
    });
    for name in &state.bootlink_names {
        let kept = |slot: &Slot| *name == slot.link() || *name == slot.links_dir();
        if !kept(&to) && !running.as_ref().is_some_and(kept) {
            paths.push(format!("/ostree/{name}"));
        }
    }
    paths.extend(boot_files(state, texts, settings));
    paths.sort();
    paths
}

/// Directories and overlay initrds in `/boot/ostree` that no text names. Entries that are damaged keep what
/// they name, as far as they can be read; one that cannot be read at all keeps everything.
fn boot_files(state: &BootState, texts: &[&str], settings: &Settings) -> Vec<String> {
    if state.unreadable.iter().any(|entry| entry.text.is_empty()) {
        return Vec::new();
    }
    let damaged = state.unreadable.iter().map(|entry| entry.text.as_str());
    let texts: Vec<&str> = texts.iter().copied().chain(damaged).collect();
    let running = settings.running.as_ref().map(|link| format!("{}-{}", link.stateroot, link.boot_checksum));
    // By a path of a boot file, or by the `ostree=` of an entry whose other lines are damaged.
    let is_named = |name: &str| {
        if settings.awaited.iter().any(|awaited| awaited == name) {
            return true;
        }
        let in_link = name.rsplit_once('-').map(|(stateroot, checksum)| format!("/{stateroot}/{checksum}/"));
        texts
            .iter()
            .any(|text| text.contains(name) || in_link.as_ref().is_some_and(|link| text.contains(link)))
    };
    // The running system always has an entry. If it has none, the entries that were read are not the whole truth.
    if running.as_deref().is_some_and(|running| !is_named(running)) {
        return Vec::new();
    }
    let mut paths = Vec::new();
    for (dir, files) in &state.boot_dirs {
        if is_boot_dir(dir) && !is_named(dir) {
            paths.push(format!("/boot/ostree/{dir}"));
        } else if dir == "initramfs-overlays" {
            let unnamed = files.keys().filter(|name| !is_named(name));
            paths.extend(unnamed.map(|name| format!("/boot/ostree/{dir}/{name}")));
        }
    }
    paths
}

/// Lists the files that the chosen entries do not need: paths from the root, sorted. None where there are no entries.
pub fn leftovers(state: &BootState, settings: &Settings) -> Vec<String> {
    if state.entries.is_empty() {
        return Vec::new();
    }
    let texts: Vec<String> = state.entries.iter().map(|entry| entry.entry.to_string()).collect();
    let texts = texts.iter().chain(state.foreign.iter().map(|file| &file.text));
    let texts: Vec<&str> = texts.map(String::as_str).collect();
    list(state, state.slot(), &texts, settings)
}
