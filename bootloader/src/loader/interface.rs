// SPDX-License-Identifier: MIT OR Apache-2.0
//! The interface that each boot loader implements, and a loader as it is installed.

use formats::bls::Entry;
use serde::Serialize;

use super::beside::Beside;
use super::error::LoaderError;
use super::menu::Menu;
use super::shown::Shown;
use crate::files::NewFile;

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

    /// Returns the menu that it would show after reading this text. Lines that it would pass over are passed over.
    fn parse(&self, _text: &str) -> Shown {
        Shown::default()
    }

    /// The same with what lies beside it.
    fn shows(&self, text: &str, _beside: &Beside) -> Shown {
        self.parse(text)
    }

    /// Returns the menu that the first file leads to, by its text or, of a link, by its target.
    fn reads(&self, _link: Option<&str>, _text: &str) -> Reads {
        Reads::OurFile
    }

    /// Why it may not load all initrds of an entry with several; `None` where it does, or where nothing is written for it.
    fn loads_one_initrd(&self) -> Option<&'static str> {
        None
    }

    /// Returns the work that is due once `default` is the first entry of the chosen set.
    fn after_switch(&self, _installed: &Installed, _default: &Entry) -> Result<AfterSwitch, LoaderError> {
        Ok(AfterSwitch::Nothing)
    }
}

/// Work after a switch, before the files of the old entries may go. It is done again until it succeeds.
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

/// The menus that the first file of a loader may lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reads {
    /// The file in the chosen `loader.N`.
    OurFile,
    /// The boot entries themselves.
    BootEntries,
    /// Something else, of which nothing is lost if it is replaced by ours.
    Replaceable,
    /// Something else that has entries of others.
    Others,
}

/// The first file that a loader reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryPoint {
    /// Below `/boot`.
    pub path: String,
    /// Of a link its target.
    pub link: Option<String>,
    /// Its text; empty for a link that leads nowhere yet.
    pub text: String,
}

/// A boot loader as it is installed.
#[derive(Debug, Clone)]
pub struct Installed {
    /// Which one.
    pub loader: &'static dyn Loader,
    /// The file that says so.
    pub because: String,
    /// Where it begins to read, if that is not in `loader.N`.
    pub entry_point: Option<EntryPoint>,
    /// How GRUB finds the file system of `/boot`, for its file on another one.
    pub boot_uuid: Option<String>,
    /// The files that GRUB reads beside its menu.
    pub beside: Beside,
    /// Where `/boot` is in a btrfs, for GRUB, which reads it from its top and not from the subvolume that is mounted.
    pub subvolume: Option<String>,
    /// The partition that the machine was booted from, where the EFI partition that GRUB's file is on is another one.
    pub other_esp: Option<String>,
}

impl Installed {
    /// Checks for faults that would refuse every switch, whatever is in it; to be asked before a tree is made.
    pub fn check(&self) -> Result<(), LoaderError> {
        match self.loader.after_switch(self, &Entry::default()) {
            // A switch has an entry.
            Ok(_) | Err(LoaderError::NoAboot(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The file that it reads.
    pub fn reads(&self) -> Reads {
        match (&self.entry_point, self.loader.file()) {
            (Some(point), _) => self.loader.reads(point.link.as_deref(), &point.text),
            (None, Some(_)) => Reads::OurFile,
            (None, None) => Reads::BootEntries,
        }
    }
}
