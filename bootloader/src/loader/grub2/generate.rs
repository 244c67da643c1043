// SPDX-License-Identifier: MIT OR Apache-2.0
//! Menu entries for `grub-mkconfig`, as `/etc/grub.d/15_ostree` prints them; byte for byte those of the C tools, apart from more than one initrd.

use formats::bls::Entry;

use super::quote::quote;
use crate::loader::shown::below_boot;

/// The facts that `15_ostree` found out with the means of `grub-mkconfig`.
#[derive(Debug, Clone, Default)]
pub struct Generator {
    /// Tells entries of several systems apart: `GRUB2_BOOT_DEVICE_ID`.
    pub device_id: String,
    /// The commands that make GRUB find `/boot`: `GRUB2_PREPARE_ROOT_CACHE`.
    pub prepare_root: Option<String>,
}

/// The entries, the default first; for a `/boot` in a btrfs with the [path](crate::Installed) that GRUB needs there.
pub fn generate<'a>(
    entries: impl Iterator<Item = &'a Entry>,
    with: &Generator,
    subvolume: Option<&str>,
) -> String {
    let mut text = String::new();
    let path = |path: &str| match subvolume {
        Some(top) => format!("{top}{}", below_boot(path)),
        None => path.to_owned(),
    };
    for (index, entry) in entries.enumerate() {
        let title = quote(entry.title().unwrap_or("(Untitled)"));
        text += &format!(
            "menuentry {title} --class gnu-linux --class gnu --class os --unrestricted 'ostree-{index}-{}' {{\n",
            with.device_id
        );
        text += "load_video\nset gfxpayload=keep\ninsmod gzio\n";
        if let Some(commands) = &with.prepare_root {
            text += &format!("{commands}\n");
        }
        text += &format!("linux {} {}\n", path(entry.linux().unwrap_or_default()), entry.options());
        let initrds = entry.initrd().into_iter().map(path).collect::<Vec<_>>().join(" ");
        if !initrds.is_empty() {
            text += &format!("initrd {initrds}\n");
        }
        if let Some(tree) = entry.get("devicetree") {
            text += &format!("devicetree {}\n", path(tree));
        }
        text += "}\n";
    }
    text
}
