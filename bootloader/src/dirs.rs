// SPDX-License-Identifier: MIT OR Apache-2.0
//! Looking into directories, and making and clearing what is in them, by their descriptors.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Result};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::places::Places;

/// Directories are readable whatever the umask of the caller.
pub(crate) const DIR_MODE: Mode = Mode::from_raw_mode(0o755);
/// So are entries.
pub(crate) const FILE_MODE: Mode = Mode::from_raw_mode(0o644);
/// No boot entry is longer; what is, is cut off and reported.
pub(crate) const MAX_ENTRY: usize = 1 << 20;

/// All that is below a directory, by its path from there.
#[derive(Debug, Default)]
pub(crate) struct Below {
    /// The files, with their sizes in bytes.
    pub(crate) files: BTreeMap<String, u64>,
    /// The links.
    pub(crate) links: Vec<String>,
    /// The directories.
    pub(crate) directories: Vec<String>,
}

/// Lists all that is below a directory. Device trees lie some directories deep.
pub(crate) fn sizes(dir: &OwnedFd) -> Result<Below> {
    let mut below = Below::default();
    add_sizes(dir, "", &mut below, 0)?;
    Ok(below)
}

fn add_sizes(dir: &OwnedFd, prefix: &str, below: &mut Below, depth: u32) -> Result<()> {
    const MAX_DEPTH: u32 = 16;
    for name in names(dir)? {
        let stat = rustix::fs::statat(dir, &name, AtFlags::SYMLINK_NOFOLLOW)?;
        let path = format!("{prefix}{name}");
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                below.files.insert(path, u64::try_from(stat.st_size).unwrap_or(0));
            }
            FileType::Directory if depth < MAX_DEPTH => {
                if let Some(inner) = open_dir(dir, &name)? {
                    add_sizes(&inner, &format!("{path}/"), below, depth + 1)?;
                    below.directories.push(path);
                }
            }
            FileType::Symlink => below.links.push(path),
            _ => {}
        }
    }
    Ok(())
}

/// Opens a directory that is one itself and no link; `None` for what is not there or is none.
pub(crate) fn open_dir(dir: impl AsFd, path: &str) -> Result<Option<OwnedFd>> {
    durable::find_dir(dir, path).with_context(|| format!("Opening {path}"))
}

/// Returns the kind of an entry, without following it; `None` for a name that is not there.
pub(crate) fn kind(dir: impl AsFd, name: &str) -> Result<Option<FileType>> {
    durable::kind_of(dir, name).with_context(|| format!("Looking at {name}"))
}

/// The target of a link, as far as it is text; `None` for what is not there or no link.
pub(crate) fn read_link(dir: impl AsFd, path: &str) -> Result<Option<String>> {
    match rustix::fs::readlinkat(dir, path, Vec::new()) {
        Ok(target) => Ok(Some(target.to_string_lossy().into_owned())),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::INVAL | Errno::LOOP) => Ok(None),
        Err(err) => Err(err).with_context(|| format!("Reading link {path}")),
    }
}

/// The contents of a file that is one itself and no link.
pub(crate) fn read(dir: impl AsFd, name: &str) -> Result<Vec<u8>> {
    let contents = read_up_to(dir, name, MAX_ENTRY, OFlags::NOFOLLOW)?;
    anyhow::ensure!(contents.len() < MAX_ENTRY, "{name} is too long for a boot entry");
    Ok(contents)
}

/// The text of a file, through links; `None` for what is not there. What is no text is read as far as it is.
pub(crate) fn read_text(dir: impl AsFd, name: &str) -> Result<Option<String>> {
    match rustix::fs::statat(&dir, name, AtFlags::empty()) {
        Ok(_) => Ok(Some(
            String::from_utf8_lossy(&read_up_to(dir, name, MAX_ENTRY, OFlags::empty())?).into_owned(),
        )),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(err) => Err(err).with_context(|| format!("Looking at {name}")),
    }
}

pub(crate) fn read_up_to(dir: impl AsFd, name: &str, most: usize, follow: OFlags) -> Result<Vec<u8>> {
    let file = durable::open_to_read(dir, name, follow).with_context(|| format!("Opening {name}"))?;
    let mut contents = Vec::new();
    let file = std::fs::File::from(file);
    file.take(most as u64).read_to_end(&mut contents).with_context(|| format!("Reading {name}"))?;
    Ok(contents)
}

/// The names in a directory, sorted. One that is not UTF-8 is nobody's: no loader can name it.
pub(crate) fn names(dir: &OwnedFd) -> Result<Vec<String>> {
    durable::text_names(dir).context("Reading a directory")
}

/// All that is in a directory, sorted, with its kind; `None` for what has a name that is no text, which is then given as
/// far as it is.
#[fn_error_context::context("Reading a directory")]
pub(crate) fn contents(dir: &OwnedFd) -> Result<Vec<(String, Option<FileType>)>> {
    let mut found = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        match entry.file_name().to_str() {
            Ok("." | "..") => {}
            Ok(name) => found.extend(kind(dir, name)?.map(|kind| (name.to_owned(), Some(kind)))),
            Err(_) => found.push((entry.file_name().to_string_lossy().into_owned(), None)),
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}

/// Removes what is in the way; what cannot be removed is an error.
pub(crate) fn clear(dir: BorrowedFd<'_>, name: &str) -> Result<()> {
    durable::remove_tree(dir, name)?.require_complete()
}

/// The directory `/ostree` of a physical root.
pub(crate) fn ostree(root: BorrowedFd<'_>) -> Result<OwnedFd> {
    open_dir(root, "ostree")?.context("There is no directory /ostree; run `ostree admin init-fs` first")
}

/// Opens the directory that a path from the root is in, and gives its last part; `None` where that directory is not there.
/// `/boot/…` is below `/boot`.
pub(crate) fn open_parent<'p>(places: Places<'_>, path: &'p str) -> Result<Option<(OwnedFd, &'p str)>> {
    let path = path.trim_start_matches('/');
    let (top, below) = match path.strip_prefix("boot/") {
        Some(below) => (places.boot, below),
        None => (places.root, path),
    };
    let (dir, name) = below.rsplit_once('/').unwrap_or((".", below));
    Ok(open_dir(top, dir)?.map(|dir| (dir, name)))
}
