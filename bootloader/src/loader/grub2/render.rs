// SPDX-License-Identifier: MIT OR Apache-2.0
//! The menu as a script of GRUB.

use formats::kernel_args::KernelArgs;

use super::quote::{quote, quote_word, script_word};
use crate::entry;
use crate::loader::menu::{Menu, MenuItem};

pub(super) const HEADER: &str = r#"# The boot menu, made of the boot entries beside it. Every deployment makes it anew: what is yours, settings and
# entries, belongs into custom.cfg in GRUB's own directory.
set default=0
set timeout_style=menu
set timeout=5
if [ -s "${prefix}/grubenv" ]; then
  load_env
fi
if [ -n "${next_entry}" ]; then
  set default="${next_entry}"
  set next_entry=
  save_env next_entry
fi
for module in all_video gzio; do
  if [ -f "${prefix}/${grub_cpu}-${grub_platform}/${module}.mod" ]; then
    insmod ${module}
  fi
done
"#;

pub(super) const FOOTER: &str = r#"if [ -f "${prefix}/custom.cfg" ]; then
  source "${prefix}/custom.cfg"
fi
"#;

pub(super) fn menu_entry(menu: &Menu<'_>, item: &MenuItem<'_>) -> String {
    let entry = item.entry;
    let mut text = format!("menuentry {}", quote(entry.title().unwrap_or("(Untitled)")));
    for class in entry.get("grub_class").unwrap_or("gnu-linux gnu os").split_ascii_whitespace() {
        text += &format!(" --class {}", quote_word(class));
    }
    // As with blscfg: who is asked for a password. An empty list is every superuser.
    match entry.get("grub_users") {
        Some(users) => text += &format!(" --users {}", quote(users.trim_matches('"'))),
        None => text += " --unrestricted",
    }
    text += &format!(" --id {} {{\n  set gfxpayload=keep\n", quote(&item.name.id));
    text += &format!("  linux {}", quote_word(&menu.path_of(item, "linux").unwrap_or_default()));
    for arg in KernelArgs::parse(&entry.options()).iter() {
        text += " ";
        text += &if entry::is_our_argument(arg) { quote_word(arg) } else { script_word(arg) };
    }
    text += "\n";
    let initrd = |path: &str| {
        let word = menu.path(path);
        if entry::is_of_a_tree(path) { quote_word(&word) } else { script_word(&word) }
    };
    let initrds: Vec<String> = entry.initrd().into_iter().map(initrd).collect();
    if !initrds.is_empty() {
        text += &format!("  initrd {}\n", initrds.join(" "));
    }
    if let Some(path) = menu.path_of(item, "devicetree") {
        text += &format!("  devicetree {}\n", quote_word(&path));
    }
    text + "}\n"
}
