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
mod quote;
mod render;
mod script;
mod settings;

use formats::bls::Entry;
use formats::kernel_args::KernelArgs;

use render::{FOOTER, HEADER, menu_entry};

use super::beside::Beside;
use super::error::LoaderError;
use super::interface::{AfterSwitch, Installed, Loader, Reads};
use super::menu::Menu;
use super::shown::Shown;
use crate::entry;
use crate::files::NewFile;

pub(super) use entry_point::directory;
pub use generate::{Generator, generate};
pub(crate) use script::default_of_entries;

/// GRUB with a configuration.
#[derive(Debug, Clone, Copy)]
pub struct Grub2;

/// Says what GRUB makes of the kernel arguments of an entry, where that is not what they say. A text that is a script to
/// GRUB is an entry for `blscfg`, or what `grub-mkconfig` writes.
pub(crate) fn changed_arguments(options: &KernelArgs, is_script: bool) -> impl Iterator<Item = String> + '_ {
    let theirs = options.iter().filter(|arg| !entry::is_our_argument(arg));
    theirs.filter_map(move |arg| quote::change_of(arg, is_script))
}

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
