// SPDX-License-Identifier: MIT OR Apache-2.0
//! Boot loaders: which one is there, what it reads beside the entries, and what it would make of it.
//!
//! ```text
//! detect        which loader is there, and which of its files leads to what we write
//! render        boot entries → files in its own format, for the new `loader.N`
//! parse         what it would show and boot, by its own rules; asked before the commit
//! after_switch  what has to be done once the new set is chosen: a tool, or the loader's first file
//! ```

mod aboot;
mod beside;
mod detect;
mod examine;
pub mod grub2;
mod none;
pub(crate) mod place;
mod syslinux;
mod uboot;
mod zipl;

use formats::bls::{Entry, EntryName};
use serde::Serialize;

use crate::plan::NewFile;

pub use aboot::Aboot;
pub use beside::Beside;
pub use detect::{Choice, EntryPoint, Installed, LoaderError, Reads, detect, select};
pub use examine::{Report, ReportedEntry, boots_elsewhere, examine};
pub use grub2::Grub2;
pub use none::BootEntriesOnly;
pub use place::booted_partition;
pub use syslinux::{Extlinux, Syslinux};
pub use uboot::Uboot;
pub use zipl::Zipl;

/// A boot loader.
pub trait Loader: std::fmt::Debug + Sync {
    /// Its name in the configuration.
    fn name(&self) -> &'static str;

    /// The file in `loader.N` that it reads; `None` if that is only the entries, or nothing.
    fn file(&self) -> Option<&'static str> {
        None
    }

    /// That file, made of the menu.
    fn render(&self, _menu: &Menu<'_>) -> Result<Vec<NewFile>, LoaderError> {
        Ok(Vec::new())
    }

    /// What it would show and boot after reading this text. What it would pass over is passed over.
    fn parse(&self, _text: &str) -> Shown {
        Shown::default()
    }

    /// The same with what lies beside it.
    fn shows(&self, text: &str, _beside: &Beside) -> Shown {
        self.parse(text)
    }

    /// What the first file that it reads leads to, by its text or, of a link, by its target.
    fn reads(&self, _link: Option<&str>, _text: &str) -> Reads {
        Reads::OurFile
    }

    /// What is to be done once `default` is the first entry of the chosen set.
    fn after_switch(&self, _installed: &Installed, _default: &Entry) -> Result<AfterSwitch, LoaderError> {
        Ok(AfterSwitch::Nothing)
    }
}

/// What a menu in a loader's own format is made of.
#[derive(Debug)]
pub struct Menu<'a> {
    /// The default first.
    pub items: Vec<MenuItem<'a>>,
    /// What the loader's configuration says now: lines of others in it stay.
    pub config: Option<&'a str>,
    /// What stands before paths in `/boot`, from the root of its file system: nothing, `/boot`, or what names a subvolume as well.
    pub boot: &'a str,
}

/// One of our entries.
#[derive(Debug, Clone, Copy)]
pub struct MenuItem<'a> {
    /// Its file name.
    pub name: &'a EntryName,
    /// What it says.
    pub entry: &'a Entry,
    /// What its tree adds to U-Boot's environment while it is the default.
    pub environment: Option<&'a str>,
}

/// The path of a boot entry, with or without `/boot` before it, as seen from there.
fn below_boot(path: &str) -> &str {
    path.strip_prefix("/boot").filter(|below| below.starts_with('/')).unwrap_or(path)
}

impl Menu<'_> {
    /// The path that an entry names, from the root of the file system that holds `/boot`.
    fn path(&self, path: &str) -> String {
        // Of a file system of its own `/boot/boot` leads back to where it is.
        let below = if self.boot.is_empty() { path } else { below_boot(path) };
        format!("{}{below}", self.boot)
    }

    /// The same for the first value of a key.
    fn path_of(&self, item: &MenuItem<'_>, key: &str) -> Option<String> {
        item.entry.all(key).next().map(|path| self.path(path))
    }

    /// The same for the initrd of a loader that can load one only.
    fn only_initrd(&self, item: &MenuItem<'_>, loader: &'static str) -> Result<Option<String>, LoaderError> {
        match item.entry.initrd().as_slice() {
            [] => Ok(None),
            [path] => Ok(Some(self.path(path))),
            _ => Err(LoaderError::OneInitrd { loader, entry: item.name.to_string() }),
        }
    }
}

/// What a loader would show.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Shown {
    /// In the order of its menu.
    pub entries: Vec<ShownEntry>,
    /// Which of them it boots if nobody chooses, as far as that can be told.
    pub default: Option<usize>,
    /// What says so, if that is something beside its configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chosen_by: Option<String>,
}

/// An entry as a loader reads it; paths from the root of the file system that holds `/boot`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ShownEntry {
    /// What a person chooses by.
    pub title: String,
    /// The kernel; `None` where it boots something else.
    pub linux: Option<String>,
    /// The initrds.
    pub initrd: Vec<String>,
    /// The device tree.
    pub devicetree: Option<String>,
    /// The kernel command line.
    pub options: String,
}

impl ShownEntry {
    /// Whether it boots a deployment.
    pub fn is_ours(&self) -> bool {
        self.options.split_ascii_whitespace().any(|arg| arg.starts_with("ostree="))
    }

    /// Whether it does what a boot entry says. What stands before paths depends on the loader, unless `/boot` is in a subvolume that it
    /// has to name.
    pub(crate) fn boots(&self, entry: &Entry, subvolume: Option<&str>) -> bool {
        let same = |shown: &str, path: &str| match subvolume {
            Some(top) => shown.strip_prefix(top) == Some(below_boot(path)),
            None => shown == path || shown.strip_prefix("/boot") == Some(path),
        };
        let linux = self.linux.as_deref().zip(entry.linux());
        let (initrds, tree) = (entry.initrd(), entry.get("devicetree"));
        // Loaders take quotes away and put them back, around the argument instead of its value.
        self.options.replace('"', "") == entry.options().replace('"', "")
            && linux.is_some_and(|(shown, path)| same(shown, path))
            && self.initrd.len() == initrds.len()
            && self.initrd.iter().zip(initrds).all(|(shown, path)| same(shown, path))
            && self.devicetree.is_some() == tree.is_some()
            && self.devicetree.as_deref().zip(tree).is_none_or(|(shown, path)| same(shown, path))
    }
}

/// What is to be done after a switch, before what the old entries need may go. It is done again until it succeeds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AfterSwitch {
    /// Nothing: the loader reads the chosen set itself.
    #[default]
    Nothing,
    /// The loader's first file becomes a link to ours.
    Link {
        /// Below `/boot`.
        path: String,
        /// Relative to it.
        target: String,
    },
    /// The loader's first file, on a file system without links, gets a text that leads to ours. Written once.
    Stub {
        /// Below `/boot`.
        path: String,
        /// All of it.
        text: String,
    },
    /// A tool writes the boot record.
    Run(Tool),
}

/// A program that is run after a switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Tool {
    /// Its name, looked for in `PATH`.
    pub program: &'static str,
    /// Its arguments.
    pub args: Vec<String>,
}
