// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the initramfs of a tree holds, as far as it decides about the boot: the configuration in it counts, not that of the tree.
//!
//! ```text
//! usr/lib/modules/VERSION/ostree-initramfs.json      what was found in the initramfs with this checksum
//! ```
//!
//! The record is written when an image is built (`ostree admin lint --record`) and saves unpacking the initramfs with every
//! deployment. Without one, or with one of another initramfs, that is read itself; what cannot be read is unknown, and not
//! guessed at.

mod read;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, Result, bail};
use bootloader::KernelFiles;
use fn_error_context::context;
use formats::{Checksum, Hasher};
use prepare_root::config::{Config, Layer};
use rustix::fs::{AtFlags, Mode, OFlags};
use serde::{Deserialize, Serialize};

use crate::preflight::read_text;

/// Where the configuration is in an initramfs, the lowest layer first.
const CONFIG: [&str; 2] = ["usr/lib/ostree/prepare-root.conf", "etc/ostree/prepare-root.conf"];

/// The program that prepares the root, in whichever directory.
const PROGRAM: &str = "ostree-prepare-root";

/// The record's name beside the kernel.
const RECORD: &str = "ostree-initramfs.json";

/// Raised when a key of the record changes its meaning or goes.
const SCHEMA: u32 = 1;

/// What is in an initramfs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Contents {
    /// The layers of `prepare-root.conf`, by their path.
    pub(crate) config: BTreeMap<String, String>,
    /// Checksums of the public keys, by their path.
    pub(crate) keys: BTreeMap<String, String>,
    /// The checksum of `ostree-prepare-root`; `None` where there is none.
    pub(crate) program: Option<String>,
}

/// The file beside the kernel.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Record {
    schema: u32,
    /// SHA-256 of the file that it tells of.
    initramfs: String,
    #[serde(flatten)]
    contents: Contents,
}

/// What is known of an initramfs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Known {
    /// The tree has none.
    None,
    /// It was read, now or by whoever made the record.
    Contents(Contents),
    /// Why it cannot be told.
    Unknown(String),
}

impl Known {
    /// Of the initramfs of a tree: by the record if it is about this one, else by reading it.
    pub(crate) fn of(tree: BorrowedFd<'_>, files: &KernelFiles) -> Result<Self> {
        let Some(initramfs) = files.initramfs() else { return Ok(Self::None) };
        if let Some(record) = recorded(tree, &initramfs.source)
            && checksum(tree, &initramfs.source)?.to_string() == record.initramfs
        {
            return Ok(Self::Contents(record.contents));
        }
        let file = BufReader::with_capacity(1 << 17, open(tree, &initramfs.source)?);
        Ok(match read::read(file) {
            Ok(contents) => Self::Contents(contents),
            Err(error) => Self::Unknown(format!("/{}: {error:#}", initramfs.source)),
        })
    }
}

impl Contents {
    /// What the program in the initramfs will be told to do.
    pub(crate) fn config(&self) -> Result<Config> {
        let layers = CONFIG.iter().filter_map(|path| self.config.get(*path).map(|text| Layer { path, text }));
        Ok(Config::parse(&layers.collect::<Vec<_>>())?)
    }
}

/// Refuses a tree whose initramfs would refuse to boot it. Gives what deserves a look and is no reason to refuse.
#[context("Checking the initramfs of the tree")]
pub(crate) fn check(tree: BorrowedFd<'_>, files: &KernelFiles) -> Result<Vec<String>> {
    let contents = match Known::of(tree, files)? {
        Known::None => return Ok(Vec::new()),
        Known::Unknown(reason) => {
            log::debug!("What is in the initramfs is unknown: {reason}");
            return Ok(Vec::new());
        }
        Known::Contents(contents) => contents,
    };
    let config = contents.config()?;
    if let Err(wish) = config.check_supported() {
        bail!("{wish} and build the initramfs again, which has a copy of it");
    }
    let mut notes = Vec::new();
    if contents.program.is_none() {
        notes.push(format!(
            "There is no {PROGRAM} in the initramfs: build it with the dracut module `ostree`"
        ));
    } else if Config::load(tree)? != config {
        notes.push(
            "prepare-root.conf in the initramfs differs from that of the tree, and it is what counts: build the initramfs \
             again"
                .to_owned(),
        );
    }
    Ok(notes)
}

/// Whether two trees have the same initramfs, by links to one object.
pub(crate) fn is_that_of(former: BorrowedFd<'_>, tree: BorrowedFd<'_>, files: &KernelFiles) -> bool {
    let Some(initramfs) = files.initramfs() else { return false };
    let identity = |tree| {
        let stat = rustix::fs::statat(tree, &initramfs.source, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some((stat.st_dev, stat.st_ino))
    };
    identity(former).is_some_and(|former| identity(tree) == Some(former))
}

/// Reads the initramfs of a tree and writes the record. Gives its path.
#[context("Recording what is in the initramfs")]
pub(crate) fn record(tree: BorrowedFd<'_>) -> Result<String> {
    let files = KernelFiles::find(tree)?;
    let initramfs = files.initramfs().context("The tree has no initramfs")?;
    let (dir, _) = initramfs.source.rsplit_once('/').context("It is at the top of the tree")?;
    let contents = read::read(BufReader::with_capacity(1 << 17, open(tree, &initramfs.source)?))?;
    let record =
        Record { schema: SCHEMA, initramfs: checksum(tree, &initramfs.source)?.to_string(), contents };
    let path = format!("{dir}/{RECORD}");
    let text = serde_json::to_string_pretty(&record)? + "\n";
    durable::replace(
        crate::directory::open(tree, dir)?.as_fd(),
        RECORD,
        text.as_bytes(),
        Mode::from_raw_mode(0o644),
    )?;
    Ok(path)
}

/// The record beside a file; one that cannot be used counts as none.
fn recorded(tree: BorrowedFd<'_>, initramfs: &str) -> Option<Record> {
    let (dir, _) = initramfs.rsplit_once('/')?;
    let text = read_text(tree, &format!("{dir}/{RECORD}")).ok()??;
    serde_json::from_str(&text).ok().filter(|record: &Record| record.schema == SCHEMA)
}

fn open(tree: BorrowedFd<'_>, path: &str) -> Result<File> {
    let opened = rustix::fs::openat(tree, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    Ok(File::from(opened.with_context(|| format!("Opening {path}"))?))
}

fn checksum(tree: BorrowedFd<'_>, path: &str) -> Result<Checksum> {
    let mut file = open(tree, path)?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 1 << 17];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(read) => hasher.update(buffer.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).with_context(|| format!("Reading {path}")),
        }
    }
}

#[cfg(test)]
mod tests;
