// SPDX-License-Identifier: MIT OR Apache-2.0
//! Opening a repository.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use fn_error_context::context;
use formats::keyfile::Keyfile;
use rustix::fs::{CWD, Mode as Permissions, mkdirat, openat};

use crate::dirs::{DIR_FLAGS, DIRECTORY_MODE};
use crate::remembered::Remembered;
use crate::{Mode, Settings, bytes};

/// A repository of objects and refs.
#[derive(Debug)]
pub struct Repo {
    dir: OwnedFd,
    objects: OwnedFd,
    /// For messages only: all work goes through the descriptors.
    path: PathBuf,
    config: Keyfile,
    settings: Settings,
    remembered: Remembered,
}

impl Repo {
    /// Opens the repository at `path`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_at(CWD, path)
    }

    /// Opens the repository at `path` below the directory `at`.
    ///
    /// Errors: there is none; its `config` cannot be read, or asks for what is not supported.
    pub fn open_at(at: impl AsFd, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let dir = openat(at, path, DIR_FLAGS, Permissions::empty())
            .with_context(|| format!("opening repo: opendir({})", path.display()))?;
        let objects = openat(&dir, "objects", DIR_FLAGS, Permissions::empty())
            .with_context(|| format!("opening repo: opendir({}/objects)", path.display()))?;
        let config = read_config(&dir, path)?;
        make_tmp(&dir);
        let settings =
            Settings::from_keyfile(&config).with_context(|| format!("Reading {}/config", path.display()))?;
        Ok(Self { dir, objects, path: path.to_owned(), config, settings, remembered: Remembered::default() })
    }

    /// Keeps the directory trees that are read from now on in memory, up to a bound: for who goes through the same ones again.
    pub fn remember_trees(&self) {
        self.remembered.begin();
    }

    pub(crate) fn remembered(&self) -> &Remembered {
        &self.remembered
    }

    /// How files are stored.
    pub fn mode(&self) -> Mode {
        self.settings.mode
    }

    /// The `config` as it was read when the repository was opened.
    pub fn config(&self) -> &Keyfile {
        &self.config
    }

    /// The settings that `config` stands for.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Turns making writes durable on or off, whatever `core.fsync` says, for throw-away repositories.
    pub fn set_fsync(&mut self, fsync: bool) {
        self.settings.fsync = fsync;
    }

    /// Makes each object durable as it is written, instead of all together.
    pub fn set_per_object_fsync(&mut self, each: bool) {
        self.settings.per_object_fsync = each;
    }

    /// The path that the repository was opened by, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The repository's directory.
    pub fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// The directory of loose objects.
    pub fn objects(&self) -> BorrowedFd<'_> {
        self.objects.as_fd()
    }

    /// Replaces `config` durably.
    ///
    /// # Errors
    /// A name or a value in it could not be read back, or would make the repository unusable: then nothing is written.
    #[context("Writing {}/config", self.path.display())]
    pub fn write_config(&mut self, config: Keyfile) -> Result<()> {
        let settings = Settings::from_keyfile(&config)?;
        let text = config.to_string();
        check_read_back(&self.config, &config, &text)?;
        bytes::replace(&self.dir, "config", text.as_bytes())?;
        self.config = config;
        self.settings = settings;
        Ok(())
    }
}

/// Makes `tmp` again, as the C tools do for whoever may: those who clean up remove it. Who may only read does without.
fn make_tmp(dir: &OwnedFd) {
    if let Err(error) = mkdirat(dir, "tmp", DIRECTORY_MODE) {
        log::trace!("tmp: {error}");
    }
}

/// Checks that each key and each value of a configuration is found again in its text.
fn check_read_back(old: &Keyfile, config: &Keyfile, text: &str) -> Result<()> {
    let again = Keyfile::parse(text);
    let of_group = |group| config.keys(group).into_iter().map(move |key| (group, key));
    let mut keys: Vec<_> = config.groups().into_iter().flat_map(of_group).collect();
    // New pairs come first: if the text cannot be read at all, they are the cause.
    keys.sort_by_key(|(group, key)| old.raw(group, key) == config.raw(group, key));
    for (group, key) in keys {
        let is_same = |again: &Keyfile| again.raw(group, key) == config.raw(group, key);
        if key.is_empty() || !again.as_ref().is_ok_and(is_same) {
            bail!("Invalid key name “{key}” in group “{group}”: the file could not be read again");
        }
    }
    again.map(drop).context("The file could not be read again")
}

fn read_config(dir: &OwnedFd, path: &Path) -> Result<Keyfile> {
    let step = || format!("Reading {}/config", path.display());
    let data = bytes::read_file(dir, "config").with_context(step)?;
    let text = String::from_utf8(data).with_context(step)?;
    Keyfile::parse(&text).with_context(step)
}
