// SPDX-License-Identifier: MIT OR Apache-2.0
//! The initramfs of a tree, as far as it decides about the boot: the configuration in it counts, not that of the tree.
//!
//! Reading an initramfs takes long, so a [`Record`] beside it is asked first. Contents that cannot be read are unknown, and not
//! guessed at.

use std::io::{BufReader, ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, Result, bail};
use bootloader::{KernelFiles, ReadTree};
use fn_error_context::context;
use formats::{Checksum, Hasher};
use initramfs::{Contents, MAX_CONFIG, PROGRAM, Record};
use prepare_root::config::{Config, Layer};
use rustix::fs::Mode;

use crate::tree_config;

/// The largest text that is read, in bytes: records and configurations have a few hundred.
const MAX_TEXT: u64 = 64 * 1024;

// A file is read here up to the size that the program in the initramfs reads.
const _: () = assert!(MAX_CONFIG == prepare_root::open::MAX_SIZE);

/// Everything that is known of an initramfs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// The tree has none.
    None,
    /// It was read, now or when the record was made.
    Contents(Contents),
    /// Why it cannot be told.
    Unknown(String),
}

impl Known {
    /// Looks into the initramfs of a tree: by the record if it is about this one, else by reading it.
    pub fn of(tree: &dyn ReadTree, files: &KernelFiles) -> Result<Self> {
        let Some(initramfs) = files.initramfs() else { return Ok(Self::None) };
        if let Some(record) = recorded(tree, &initramfs.source)
            && let Some(contents) = record.contents_of(&checksum(tree, &initramfs.source)?)
        {
            return Ok(Self::Contents(contents));
        }
        let file = BufReader::with_capacity(1 << 17, tree.open(&initramfs.source)?);
        Ok(match initramfs::read(file) {
            Ok(contents) => Self::Contents(contents),
            Err(error) => Self::Unknown(format!("/{}: {error:#}", initramfs.source)),
        })
    }
}

/// Reads the configuration that the program in the initramfs will go by.
fn config(contents: &Contents) -> Result<Config> {
    let layers = contents.layers().map(|(path, text)| Layer { path, text });
    Ok(Config::parse(&layers.collect::<Vec<_>>())?)
}

/// Refuses a tree whose initramfs would refuse to boot it. Gives what deserves a look and is no reason to refuse.
#[context("Checking the initramfs of the tree")]
pub fn check(tree: &dyn ReadTree, files: &KernelFiles) -> Result<Vec<String>> {
    let contents = match Known::of(tree, files)? {
        Known::None => return Ok(Vec::new()),
        Known::Unknown(reason) => {
            log::debug!("What is in the initramfs is unknown: {reason}");
            return Ok(Vec::new());
        }
        Known::Contents(contents) => contents,
    };
    let config = config(&contents)?;
    if let Err(wish) = config.check_supported() {
        bail!("{wish} and build the initramfs again, which has a copy of it");
    }
    let mut notes = Vec::new();
    if contents.program.is_none() {
        notes.push(format!(
            "There is no {PROGRAM} in the initramfs: build it with the dracut module `ostree`"
        ));
    } else if tree_config::load(|path| text(tree, path))? != config {
        notes.push(
            "prepare-root.conf in the initramfs differs from that of the tree, and it is what counts: build the initramfs \
             again"
                .to_owned(),
        );
    }
    Ok(notes)
}

/// Reads the initramfs of a tree and writes the record. Gives its path.
#[context("Recording what is in the initramfs")]
pub fn record(tree: BorrowedFd<'_>) -> Result<String> {
    let files = KernelFiles::find(tree)?;
    let initramfs = files.initramfs().context("The tree has no initramfs")?;
    let (dir, _) = initramfs.source.rsplit_once('/').context("It is at the top of the tree")?;
    let contents = initramfs::read(BufReader::with_capacity(1 << 17, tree.open(&initramfs.source)?))?;
    let text = Record::new(&checksum(&tree, &initramfs.source)?, contents).to_text()?;
    let path = format!("{dir}/{}", Record::NAME);
    durable::replace(
        sysroot::directory::open(tree, dir)?.as_fd(),
        Record::NAME,
        text.as_bytes(),
        Mode::from_raw_mode(0o644),
    )?;
    Ok(path)
}

/// Reads the record beside a file; one that cannot be used counts as none.
fn recorded(tree: &dyn ReadTree, initramfs: &str) -> Option<Record> {
    let (dir, _) = initramfs.rsplit_once('/')?;
    let text = text(tree, &format!("{dir}/{}", Record::NAME)).ok()??;
    Record::parse(&text)
}

/// Reads the text of a file; `None` where there is none.
fn text(tree: &dyn ReadTree, path: &str) -> Result<Option<String>> {
    let Some((file, _)) = tree.file(path)? else { return Ok(None) };
    let mut text = String::new();
    let mut file = tree.open(&file)?.take(MAX_TEXT);
    file.read_to_string(&mut text).with_context(|| format!("Reading /{path} of the tree"))?;
    Ok(Some(text))
}

fn checksum(tree: &dyn ReadTree, path: &str) -> Result<Checksum> {
    let mut file = tree.open(path)?;
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
