// SPDX-License-Identifier: MIT OR Apache-2.0
//! U-Boot with `uEnv.txt`: variables that a boot script imports.
//!
//! ```text
//! kernel_image=/ostree/debian-<boot checksum>/vmlinuz-6.12.1
//! ramdisk_image=/ostree/debian-<boot checksum>/initramfs-6.12.1.img
//! fdt_file=… or fdtdir=…
//! bootargs=root=LABEL=root ostree=/ostree/boot.1/debian/<boot checksum>/0
//! …                                            usr/lib/ostree-boot/uEnv.txt of the default's tree
//! kernel_image2=…                              the second entry, and so on
//! ```

use super::error::LoaderError;
use super::interface::Loader;
use super::menu::Menu;
use super::shown::{Shown, ShownEntry};
use crate::files::NewFile;

/// U-Boot with `loader/uEnv.txt`.
#[derive(Debug, Clone, Copy)]
pub struct Uboot;

impl Loader for Uboot {
    fn name(&self) -> &'static str {
        "uboot"
    }

    fn file(&self) -> Option<&'static str> {
        Some("uEnv.txt")
    }

    fn render(&self, menu: &Menu<'_>) -> Result<Vec<NewFile>, LoaderError> {
        let mut text = String::new();
        for (index, item) in menu.items.iter().enumerate() {
            let suffix = suffix(index);
            let variables = [
                ("kernel_image", menu.path_of(item, "linux")),
                ("ramdisk_image", menu.only_initrd(item, "uboot")?),
                ("fdt_file", menu.path_of(item, "devicetree")),
                ("fdtdir", menu.path_of(item, "fdtdir")),
                ("bootargs", Some(item.entry.options())),
            ];
            for (name, value) in variables {
                if let Some(value) = value {
                    text += &format!("{name}{suffix}={value}\n");
                }
            }
            if let Some(more) = item.environment.filter(|_| index == 0) {
                text += &format!("{more}\n");
            }
        }
        Ok(vec![NewFile { path: "uEnv.txt".to_owned(), text }])
    }

    fn parse(&self, text: &str) -> Shown {
        // Imported one after the other: the last value of a variable counts.
        let value =
            |name: &str| text.lines().rev().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        let entry = |index| {
            let value = |name: &str| value(&format!("{name}{}", suffix(index))).map(str::to_owned);
            let linux = Some(value("kernel_image")?);
            let initrd = value("ramdisk_image").into_iter().collect();
            let options = value("bootargs").unwrap_or_default();
            let title = format!("kernel_image{}", suffix(index));
            Some(ShownEntry { title, linux, initrd, devicetree: value("fdt_file"), options })
        };
        let entries: Vec<ShownEntry> = (0..).map_while(entry).collect();
        Shown { default: (!entries.is_empty()).then_some(0), entries, chosen_by: None }
    }
}

/// The default's variables have their plain names.
fn suffix(index: usize) -> String {
    if index == 0 { String::new() } else { (index + 1).to_string() }
}
