// SPDX-License-Identifier: MIT OR Apache-2.0
//! GRUB 2: a menu that is made of the boot entries alone, without `grub-mkconfig`.
//!
//! ```text
//! /boot/grub/grub.cfg -> ../loader/grub.cfg     or a text of its own with `configfile …/loader/grub.cfg`, or `blscfg`
//! /boot/efi/EFI/VENDOR/grub.cfg                 where GRUB begins on the EFI partition: written once, goes on there
//! /boot/loader.N/grub.cfg                       the menu; `custom.cfg` in GRUB's directory comes after it
//! ```
//!
//! GRUB's own directory is `${prefix}`. The menu needs the commands `menuentry`, `linux`, `initrd`, `[` and `set`; all others are asked
//! for only if their module is there, for a command that is missing makes GRUB wait for a key.

mod entry_point;
mod generate;
mod menu;
mod script;
mod settings;

use formats::bls::Entry;
use formats::kernel_args::KernelArgs;

use super::{AfterSwitch, Beside, Installed, Loader, LoaderError, Menu, MenuItem, Reads, Shown};
use crate::plan::NewFile;

pub(super) use entry_point::directory;
pub use generate::{Generator, generate};
pub(super) use script::default_of_entries;

/// GRUB with a configuration.
#[derive(Debug, Clone, Copy)]
pub struct Grub2;

const HEADER: &str = r#"# The boot menu, made of the boot entries beside it. Every deployment makes it anew: what is yours, settings and
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

const FOOTER: &str = r#"if [ -f "${prefix}/custom.cfg" ]; then
  source "${prefix}/custom.cfg"
fi
"#;

impl Loader for Grub2 {
    fn name(&self) -> &'static str {
        "grub2"
    }

    fn file(&self) -> Option<&'static str> {
        Some("grub.cfg")
    }

    fn render(&self, menu: &Menu<'_>) -> Result<Vec<NewFile>, LoaderError> {
        let entries: String = menu.items.iter().map(|item| menu_entry(menu, item)).collect();
        Ok(vec![NewFile { path: "grub.cfg".to_owned(), text: format!("{HEADER}{entries}{FOOTER}") }])
    }

    fn parse(&self, text: &str) -> Shown {
        script::parse(text, &Beside::default())
    }

    fn shows(&self, text: &str, beside: &Beside) -> Shown {
        script::parse(text, beside)
    }

    fn reads(&self, link: Option<&str>, text: &str) -> Reads {
        entry_point::reads(link, text)
    }

    fn after_switch(&self, installed: &Installed, _default: &Entry) -> Result<AfterSwitch, LoaderError> {
        entry_point::adopt(installed)
    }
}

fn menu_entry(menu: &Menu<'_>, item: &MenuItem<'_>) -> String {
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
        text += &format!(" {}", quote_argument(arg));
    }
    text += "\n";
    let initrds: Vec<String> = entry.all("initrd").map(|path| quote_word(&menu.path(path))).collect();
    if !initrds.is_empty() {
        text += &format!("  initrd {}\n", initrds.join(" "));
    }
    if let Some(path) = menu.path_of(item, "devicetree") {
        text += &format!("  devicetree {}\n", quote_word(&path));
    }
    text + "}\n"
}

/// In single quotes, between which nothing means anything.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// As it is where it means nothing but itself.
fn quote_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%^~".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { quote(word) }
}

/// A kernel argument. GRUB takes the quotes off, and puts its own around an argument with blanks; the kernel reads
/// `"a=b c"` as `a="b c"`.
fn quote_argument(arg: &str) -> String {
    quote_word(&arg.replace('"', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_what_they_say() {
        for (word, quoted) in [
            ("root=LABEL=r", "root=LABEL=r"),
            ("a=\"b c\"", "'a=b c'"),
            ("a=$b", "'a=$b'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
            ("a;b", "'a;b'"),
            ("console=ttyS0,115200", "console=ttyS0,115200"),
            ("grün", "'grün'"),
        ] {
            assert_eq!(quote_argument(word), quoted);
        }
    }
}
